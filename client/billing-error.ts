import type { components } from './api-types.ts';

/** What the API answers to a refused or failed request (RFC 9457), with its stable `code`. */
export type Problem = components['schemas']['Problem'];
/** Every code of the API's table of errors. */
export type ProblemCode = Problem['code'];

/**
 * The API refused the request, or could not do it. Decide by `code`; `problem` has the details of that code, such as
 * `required` and `available` of `insufficient_credits`.
 *
 * ```ts
 * try {
 *   await billing.POST('/v1/teams/{teamId}/usage', usage);
 * } catch (error) {
 *   if (error instanceof BillingProblem && error.code === 'insufficient_credits') return offerCredits();
 *   throw error;
 * }
 * ```
 */
export class BillingProblem extends Error {
  override readonly name = 'BillingProblem';
  readonly code: ProblemCode;
  /** The HTTP status. */
  readonly status: number;
  /** True: nothing is wrong with the request. It may be sent again with the same idempotency key. */
  readonly retriable: boolean;
  readonly problem: Problem;
  /** Names the request in the API's log; undefined for one event of a batch, and if a browser hides it. */
  readonly requestId: string | undefined;

  constructor(problem: Problem, requestId?: string) {
    super(`${problem.code}: ${problem.detail}`);
    this.code = problem.code;
    this.status = problem.status;
    this.retriable = problem.retriable;
    this.problem = problem;
    this.requestId = requestId;
  }
}

/**
 * No answer of the API came after all retries: the connection was lost, it took too long, or something else answered, such as a
 * proxy. The request may have been done. Send it again with the same `idempotencyKey` to find out: it is not done twice.
 */
export class BillingUnavailable extends Error {
  override readonly name = 'BillingUnavailable';
  /** The key that was sent; null for a request without one. */
  readonly idempotencyKey: string | null;

  constructor(reason: string, idempotencyKey: string | null, options?: ErrorOptions) {
    super(`No answer from the billing API: ${reason}`, options);
    this.idempotencyKey = idempotencyKey;
  }
}

/** True if the text of an answer is a problem of the API. */
export function isProblem(value: unknown): value is Problem {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    'retriable' in value &&
    typeof value.retriable === 'boolean'
  );
}
