import { ApplicationFailure } from '@temporalio/activity';
import { DomainError } from '../domain-error.ts';

/**
 * Turns a DomainError into a failure that tells Temporal when to retry: after `retryAfterSeconds` if the error has it,
 * and never if its code is not retriable.
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
