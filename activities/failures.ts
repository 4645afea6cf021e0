import { ApplicationFailure } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import { isConnectionError, isTransientError } from '../database/errors.ts';
import { DomainError } from '../domain-error.ts';
import type { TeamOverview } from './describe-team.ts';

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

/** The type of a step's failure at its own event: other events of the team may succeed. */
export type UnexpectedFailure = 'unexpected_failure';
const unexpectedFailure: UnexpectedFailure = 'unexpected_failure';

/**
 * A step from stored data fails at once for every reason except a database that is down. Its event then goes to the
 * aside lane and delays no other event.
 */
export async function failAtOnce<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApplicationFailure || isTransientError(error) || isConnectionError(error))
      throw error;
    throw ApplicationFailure.create({
      type: unexpectedFailure,
      message: error instanceof Error ? error.message : String(error),
      nonRetryable: true,
    });
  }
}

/**
 * The event is parked with `code`, and that is committed. The step fails for this business reason, and the workflow
 * continues.
 */
export function parkedFailure(code: string, why: string, parked: TeamOverview): ApplicationFailure {
  return ApplicationFailure.create({
    type: code,
    message: why,
    nonRetryable: true,
    category: ApplicationFailureCategory.BENIGN,
    details: [{ parked }],
  });
}
