import { isCancellation, log, sleep } from '@temporalio/workflow';
import type { TeamOverview } from '../activities/describe-team.ts';
import {
  demandedPauseMs,
  describeFailure,
  firstPauseMs,
  isFinal,
  longestPauseMs,
  teamAfterParking,
} from './failures.ts';
import type { InboxEventMessage } from './messages.ts';
import { ledger, summaryOf, takeFromPolar } from './steps.ts';

/** An event that keeps failing for this long is parked as stuck, in milliseconds. */
export const giveUpAfterMs = 10 * 60_000;

/** The aside lane: events that need Polar or failed. One at a time, while the team's lifecycle continues. */
export interface Aside {
  add(event: InboxEventMessage): void;
  has(inboxId: string): boolean;
  /** The number of events that are not settled, or settled and not taken. */
  size(): number;
  hasSettled(): boolean;
  takeSettled(): Settled[];
}

export interface Settled {
  inboxId: string;
  /** The team after the step; null if not even parking succeeded. */
  team: TeamOverview | null;
  /** `stepsTaken` when the step began. */
  begunAfter: number;
}

/**
 * Runs each event's step with Polar's current state. After a failure the event goes to the end of the queue, and the
 * lane pauses: longer with each failure, and at least as long as Polar demands. An event that fails for ten minutes is
 * parked as stuck. An event that was stuck before gets one attempt, because the relay signals it again.
 *
 * @param stepsTaken  how many steps the team's workflow has taken outside this lane
 */
export function createAside(teamId: string, stepsTaken: () => number): Aside {
  const stuck = new Set<string>();
  const waiting = new Map<string, { event: InboxEventMessage; firstTriedAt: number | null }>();
  const settled = new Map<string, Settled>();
  let running = false;

  return {
    add(event) {
      waiting.set(event.inboxId, { event, firstTriedAt: null });
      if (running) return;
      running = true;
      workOff().catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
    },
    has: (inboxId) => waiting.has(inboxId) || settled.has(inboxId),
    size: () => waiting.size + settled.size,
    hasSettled: () => settled.size > 0,
    takeSettled() {
      const taken = [...settled.values()];
      settled.clear();
      return taken;
    },
  };

  async function workOff(): Promise<void> {
    let pauseMs = firstPauseMs;
    for (let next = first(); next; next = first()) {
      const { event } = next;
      const { inboxId } = event;
      const firstTriedAt = next.firstTriedAt ?? Date.now();
      const begunAfter = stepsTaken();
      const settle = (team: TeamOverview | null) => {
        waiting.delete(inboxId);
        settled.set(inboxId, { inboxId, team, begunAfter });
      };
      try {
        settle(await takeFromPolar(teamId, event));
        stuck.delete(inboxId);
        pauseMs = firstPauseMs;
      } catch (error) {
        const failure = describeFailure(error);
        const parked = teamAfterParking(error);
        if (parked) {
          settle(parked);
          stuck.delete(inboxId);
          pauseMs = firstPauseMs;
          continue;
        }
        const waitMs = Math.max(pauseMs, demandedPauseMs(error));
        const givesUp = Date.now() + waitMs - firstTriedAt > giveUpAfterMs;
        if (stuck.has(inboxId) || isFinal(error) || givesUp) {
          log.error('an inbox event keeps failing', { inboxId, failure });
          stuck.add(inboxId);
          settle(await park(event, failure));
        } else {
          waiting.delete(inboxId);
          waiting.set(inboxId, { event, firstTriedAt });
        }
        if (waiting.size > 0) await sleep(waitMs, { summary: 'Pause after a failure' });
        pauseMs = Math.min(2 * pauseMs, longestPauseMs);
      }
    }
    running = false;
  }

  function first() {
    return [...waiting.values()][0];
  }

  async function park(event: InboxEventMessage, failure: string): Promise<TeamOverview | null> {
    try {
      return await ledger(summaryOf(event)).parkStuckEvent(teamId, event.inboxId, failure);
    } catch (error) {
      describeFailure(error);
      return null;
    }
  }
}
