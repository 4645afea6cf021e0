import type { TemporalTarget } from '../environment.ts';
import { log, oncePerMinute } from '../log.ts';
import { createTemporalClient } from '../temporal-client.ts';
import { explainSignalFailure, signalInboxEvents } from '../workflows/messages.ts';

/** The API's side of Temporal. No request ever waits for it: what it does not hear now, the relay tells it later. */
export interface TemporalLink {
  /** Tells the team's workflow about an inbox row, soon. Never throws, never waits. */
  signal(teamId: string, inboxId: string): void;
  /** Whether the server answers within a second. */
  isReachable(): Promise<boolean>;
  close(): Promise<void>;
}

const signalDeadlineMs = 2_000;
/** Teams whose signals are under way at once, and ids of one team that wait for the next signal; the relay signals the others. */
const mostSignalsInFlight = 64;
const mostWaiting = 1_000;
/** After a failure, signals are left to the relay for so long: a dead server is not asked by every request. */
const pauseAfterFailureMs = 1_000;

/** Connects with the first call, so that the API starts and answers while Temporal is down. */
export function createTemporalLink(target: TemporalTarget): TemporalLink {
  const temporal = createTemporalClient(target);
  const inFlight = new Set<Promise<void>>();
  /** By team with a signal under way: the ids that the next one takes. */
  const waiting = new Map<string, string[]>();
  const mayLog = oncePerMinute();
  let pausedUntil = 0;

  async function send(teamId: string, inboxId: string): Promise<void> {
    waiting.set(teamId, []);
    try {
      for (let ids: readonly [string, ...string[]] | null = [inboxId]; ids; ids = takeWaiting(teamId)) {
        const these = ids;
        await temporal.call(signalDeadlineMs, (client) => signalInboxEvents(client, teamId, these));
      }
    } catch (error) {
      const { reason, unreachable } = explainSignalFailure(error);
      if (unreachable) pausedUntil = performance.now() + pauseAfterFailureMs;
      const subject = unreachable ? 'unreachable' : teamId;
      if (mayLog(subject)) log.warn({ teamId, reason }, 'Temporal got no signal; the relay sends it later');
    } finally {
      waiting.delete(teamId);
    }
  }

  function takeWaiting(teamId: string): [string, ...string[]] | null {
    const [first, ...more] = waiting.get(teamId)?.splice(0) ?? [];
    return first === undefined ? null : [first, ...more];
  }

  return {
    signal(teamId, inboxId) {
      const next = waiting.get(teamId);
      if (next) {
        if (next.length < mostWaiting) next.push(inboxId);
        return;
      }
      if (inFlight.size >= mostSignalsInFlight || performance.now() < pausedUntil) return;
      const sending = send(teamId, inboxId).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
    },
    isReachable: temporal.isReachable,
    async close() {
      await Promise.all(inFlight);
      await temporal.close();
    },
  };
}
