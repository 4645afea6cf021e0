export type { components, paths } from './api-types.ts';
export {
  type BillingClient,
  type BillingClientOptions,
  createBillingClient,
} from './billing-client.ts';
export { BillingProblem, BillingUnavailable, type Problem, type ProblemCode } from './billing-error.ts';
export {
  createMeter,
  type Meter,
  type MeteredUsage,
  type MeterOptions,
  MeterRefused,
  type Receipt,
} from './meter.ts';
export type { Credentials, RetryOptions } from './retrying-fetch.ts';
export { type Cost, type HoldTerms, type OpenHold, openHold, withHold } from './with-hold.ts';
