/** Every workflow of the worker. */
export { maintenance, sweepHolds, verifyLedger } from './maintenance.ts';
export { teamLifecycle } from './team-lifecycle.ts';
