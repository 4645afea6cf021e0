import { type ErrorCode, errors } from './errors.ts';

/**
 * A refusal that the caller can understand and act on: a stable `code` of the table in `errors.ts`, a message that says what
 * must be true and what to do, and details. Everything else that is thrown is a bug or a broken part.
 * The domain knows no HTTP: `api/problem.ts` turns it into an answer, `activities/throw-as-failure.ts` into a failure of Temporal.
 */
export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'DomainError';
    this.code = code;
    this.details = details;
  }

  /** Nothing is wrong with the request: the same one may succeed later. */
  get retriable(): boolean {
    return errors[this.code].retriable;
  }
}

/**
 * True for an error that is about the request or the state of the data: nothing was done, and trying again at once gives the
 * same answer. False for a failure of a part (the database, Polar, ourselves), and for everything that is no DomainError.
 */
export function isRefusal(error: unknown): error is DomainError {
  return error instanceof DomainError && errors[error.code].status < 500;
}

/** True for a DomainError with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is DomainError {
  return error instanceof DomainError && codes.includes(error.code);
}
