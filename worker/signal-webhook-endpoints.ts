import { setTimeout } from 'node:timers/promises';
import type { Database } from '../database/connection.ts';
import { log, oncePerMinute } from '../log.ts';
import { signalEndpoints, signalOverdueAgain } from '../outbox/signal-endpoints.ts';
import type { TemporalClient } from '../temporal-client.ts';
import { signalDelivery } from '../workflows/messages.ts';

const pollPauseMs = 250;
const signalTimeoutMs = 10_000;
const overduePauseMs = 60_000;

/**
 * Signals the workflows of webhook endpoints with new messages. Any number may run. While Temporal is down, messages
 * stay unsignalled.
 */
export function startWebhookSignals(database: Database, temporal: TemporalClient): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const mayLog = oncePerMinute();
  const signal = (endpointId: string) =>
    temporal.call(signalTimeoutMs, (client) => signalDelivery(client, endpointId));
  const running = (async () => {
    let overdueAt = performance.now();
    while (!stopping.signal.aborted) {
      try {
        await signalEndpoints(database, signal);
        if (performance.now() - overdueAt > overduePauseMs) {
          overdueAt = performance.now();
          await signalOverdueAgain(database);
        }
      } catch (error) {
        if (!stopping.signal.aborted && mayLog('webhooks'))
          log.warn({ err: error }, 'Webhook endpoints could not be signalled; tried again');
      }
      await setTimeout(pollPauseMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
