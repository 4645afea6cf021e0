import { ApplicationFailure } from '@temporalio/activity';
import { DomainError } from '../domain-error.ts';

/**
 * Tells Temporal when to try again what was refused: as soon as Polar says that it may be asked again, and never where
 * trying again is of no use (`details.retriable` is false).
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
      nonRetryable: error.details.retriable === false,
      ...(typeof retryAfterSeconds === 'number'
        ? { nextRetryDelay: retryAfterSeconds * 1_000, details: [{ retryAfterSeconds }] }
        : {}),
    });
  }
}
