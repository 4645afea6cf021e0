import { Client, Connection } from '@temporalio/client';
import type { TemporalTarget } from './environment.ts';

/** The Temporal client of the API and the relay: connects with the first call, and again after every outage. */
export interface TemporalClient {
  /**
   * Calls the server once.
   * @param withinMs  the maximum time
   * @throws the SDK's errors; see `explainSignalFailure` in `workflows/messages.ts`
   */
  call<T>(withinMs: number, work: (client: Client) => Promise<T>): Promise<T>;
  /** Whether the server answers within a second. */
  isReachable(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * gRPC for Node does not limit the time for opening a connection. If a connection is accepted and then silent (a
 * network that drops packets, a frozen server), it would wait without limit. After this time without an answer, the
 * next call uses a new connection.
 */
const replacedAfterMs = 5_000;
const reachableWithinMs = 1_000;

interface Open {
  connection: Connection;
  client: Client;
  /** When the server last answered, or when this was opened, by `performance.now()`. */
  answeredAt: number;
}

export function createTemporalClient({ namespace, ...server }: TemporalTarget): TemporalClient {
  let current = open();

  function open(): Open {
    const connection = Connection.lazy({
      ...server,
      interceptors: [], // callers retry
      // Short pauses between attempts, so that a restarted server is found within a second.
      channelArgs: { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 200 },
    });
    return { connection, client: new Client({ connection, namespace }), answeredAt: performance.now() };
  }

  async function call<T>(withinMs: number, work: (client: Client) => Promise<T>): Promise<T> {
    const used = current;
    try {
      const result = await used.connection.withDeadline(Date.now() + withinMs, () => work(used.client));
      used.answeredAt = performance.now();
      return result;
    } catch (error) {
      if (used === current && performance.now() - used.answeredAt > replacedAfterMs) {
        current = open();
        void used.connection.close().catch(() => {});
      }
      throw error;
    }
  }

  return {
    call,
    async isReachable() {
      try {
        await call(reachableWithinMs, ({ workflowService }) => workflowService.getSystemInfo({}));
        return true;
      } catch {
        return false;
      }
    },
    close: () => current.connection.close(),
  };
}
