import type { Database } from '../database/connection.ts';
import type { TemporalTarget } from '../environment.ts';
import { readWaitingEvent, type WaitingEvent } from '../inbox/waiting-event.ts';
import { log, oncePerMinute } from '../log.ts';
import { createTemporalClient } from '../temporal-client.ts';
import { explainSignalFailure, signalInboxEvents } from '../workflows/messages.ts';

/** The API's connection to Temporal. No request waits for it: the relay repeats every signal that fails. */
export interface TemporalLink {
  /** Signals an inbox row to the team's workflow, soon. Never throws, never waits. */
  signal(teamId: string, event: WaitingEvent): void;
  /** Whether the server answers within a second. */
  isReachable(): Promise<boolean>;
  close(): Promise<void>;
}

type Some = readonly [WaitingEvent, ...WaitingEvent[]];

const signalDeadlineMs = 2_000;
/**
 * The maximum number of teams with a signal in flight, and of ids of one team that wait for its next signal. The relay
 * signals the others.
 */
const mostSignalsInFlight = 64;
const mostWaitingEvents = 1_000;
/**
 * After a failure, signals are left to the relay for this long, so that not every request calls a server that is down.
 */
const pauseAfterFailureMs = 1_000;

/** Connects with the first call, so that the API starts and answers while Temporal is down. */
export function createTemporalLink(target: TemporalTarget): TemporalLink {
  const temporal = createTemporalClient(target);
  const inFlight = new Set<Promise<void>>();
  /** The waiting ids of each team with a signal in flight. The next signal takes them. */
  const waiting = new Map<string, WaitingEvent[]>();
  const mayLog = oncePerMinute();
  let pausedUntil = 0;

  async function send(teamId: string, event: WaitingEvent): Promise<void> {
    waiting.set(teamId, []);
    try {
      for (let events: Some | null = [event]; events; events = takeWaiting(teamId)) {
        const these = events;
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

  function takeWaiting(teamId: string): Some | null {
    const [first, ...more] = waiting.get(teamId)?.splice(0) ?? [];
    return first === undefined ? null : [first, ...more];
  }

  return {
    signal(teamId, event) {
      const next = waiting.get(teamId);
      if (next) {
        if (next.length < mostWaitingEvents) next.push(event);
        return;
      }
      if (inFlight.size >= mostSignalsInFlight || performance.now() < pausedUntil) return;
      const sending = send(teamId, event).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
    },
    isReachable: temporal.isReachable,
    async close() {
      await Promise.all(inFlight);
      await temporal.close();
    },
  };
}

/** Signals a stored inbox row, of which only the id is at hand, to the team's workflow. */
export async function signalEvent(
  database: Database,
  temporal: TemporalLink,
  teamId: string,
  inboxId: string,
): Promise<void> {
  const event = await readWaitingEvent(database.fork(), inboxId);
  if (event) temporal.signal(teamId, event);
}
