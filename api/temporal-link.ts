import { Client, Connection } from '@temporalio/client';
import type { TemporalTarget } from '../environment.ts';
import { log } from '../log.ts';
import { signalInboxEvent } from '../workflows/messages.ts';

/** The API's side of Temporal. No request ever waits for it: what it does not hear now, the relay tells it later. */
export interface TemporalLink {
  /** Tells the team's workflow about an inbox row, soon. Never throws, never waits. */
  signal(teamId: string, inboxId: string): void;
  /** Whether the server answers within a second. */
  isReachable(): Promise<boolean>;
  close(): Promise<void>;
}

const signalDeadlineMs = 2_000;
const mostSignalsInFlight = 64;
/** After a failure, signals are left to the relay for so long: a dead server is not asked by every request. */
const pauseAfterFailureMs = 1_000;

/** Connects with the first call, so that the API starts and answers while Temporal is down. */
export function createTemporalLink({ namespace, ...connectionOptions }: TemporalTarget): TemporalLink {
  const connection = Connection.lazy(connectionOptions);
  const client = new Client({ connection, namespace });
  const inFlight = new Set<Promise<void>>();
  let pausedUntil = 0;

  async function send(teamId: string, inboxId: string): Promise<void> {
    try {
      await connection.withDeadline(Date.now() + signalDeadlineMs, () =>
        signalInboxEvent(client, teamId, inboxId),
      );
    } catch (error) {
      pausedUntil = performance.now() + pauseAfterFailureMs;
      const reason = error instanceof Error ? `${error.message}: ${error.cause ?? ''}` : String(error);
      log.warn({ teamId, inboxId, reason }, 'Temporal was not told; the relay tells it later');
    }
  }

  return {
    signal(teamId, inboxId) {
      if (inFlight.size >= mostSignalsInFlight || performance.now() < pausedUntil) return;
      const sending = send(teamId, inboxId).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
    },
    async isReachable() {
      try {
        await connection.withDeadline(Date.now() + 1_000, () => connection.workflowService.getSystemInfo({}));
        return true;
      } catch {
        return false;
      }
    },
    async close() {
      await Promise.all(inFlight);
      await connection.close();
    },
  };
}
