import { ApplicationFailure } from '@temporalio/activity';
import { DomainError } from '../domain-error.ts';

/**
 * Tells Temporal when to try again what was refused: after `retryAfterSeconds` if the error names it, and not at all if
 * its code is not retriable.
 */
export async function throwAsFailure<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const { retryAfterSeconds } = error.details;
    throw ApplicationFailure.create({
      type: error.code,
      message: error.message,
      nonRetryable: !error.retriable,
      ...(typeof retryAfterSeconds === 'number'
        ? { nextRetryDelay: retryAfterSeconds * 1_000, details: [{ retryAfterSeconds }] }
        : {}),
    });
  }
}
