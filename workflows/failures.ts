import {
  ApplicationFailure,
  isCancellation,
  log,
  rootCause,
  setCurrentDetails,
  sleep,
  TemporalFailure,
} from '@temporalio/workflow';
import type { TeamOverview } from '../activities/describe-team.ts';
import type { UnexpectedFailure } from '../activities/step.ts';

/** The pause between two attempts of a failed step, in milliseconds, doubled each time. */
export const firstPauseMs = 1_000;
export const longestPauseMs = 60_000;

/** Retries a step until it succeeds, with growing pauses. Throws its failure after `patienceMs`, or if it is final. */
export function retried<T>(step: () => Promise<T>, patienceMs: number): Promise<T> {
  const giveUpAt = Date.now() + patienceMs;
  return retriedWhile(step, (error, pauseMs) => !isFinal(error) && Date.now() + pauseMs <= giveUpAt);
}

/** Retries a step until it succeeds, however long that takes. */
export function untilDone<T>(step: () => Promise<T>): Promise<T> {
  return retriedWhile(step, () => true);
}

async function retriedWhile<T>(
  step: () => Promise<T>,
  mayRetry: (error: unknown, pauseMs: number) => boolean,
): Promise<T> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    try {
      return await step();
    } catch (error) {
      const failure = describeFailure(error);
      if (!mayRetry(error, pauseMs)) throw error;
      log.warn('a step fails and is retried', { failure, pauseMs });
      setCurrentDetails(`**Failing:** ${failure}`);
      await sleep(pauseMs, { summary: 'Pause after a failure' });
    }
  }
}

/** Why an activity failed, as a text. Throws every other error. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
  // The root cause of a time-out is empty.
  return rootCause(error) || error.message;
}

/** Whether a retry cannot succeed. */
export function isFinal(error: unknown): boolean {
  return causeOf(error)?.nonRetryable === true;
}

/**
 * Whether the step failed because of the event itself, and not because the database is down: other events may succeed.
 */
export function isUnexpected(error: unknown): boolean {
  const unexpected: UnexpectedFailure = 'unexpected_failure';
  return causeOf(error)?.type === unexpected;
}

/** The team after a step that parked its event; null for every other failure. */
export function teamAfterParking(error: unknown): TeamOverview | null {
  const cause = causeOf(error);
  const [detail] = (cause?.details ?? []) as [{ parked?: TeamOverview }?];
  return detail?.parked ?? null;
}

/** How long Polar demands a pause, in milliseconds (`throwAsFailure`). */
export function demandedPauseMs(error: unknown): number {
  const [detail] = causeOf(error)?.details ?? [];
  if (typeof detail !== 'object' || detail === null || !('retryAfterSeconds' in detail)) return 0;
  return typeof detail.retryAfterSeconds === 'number' ? detail.retryAfterSeconds * 1_000 : 0;
}

/** The error that an activity threw. */
function causeOf(error: unknown): ApplicationFailure | null {
  if (error instanceof ApplicationFailure) return error;
  return error instanceof TemporalFailure && error.cause instanceof ApplicationFailure ? error.cause : null;
}
