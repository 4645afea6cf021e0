import type { Database } from '../database/connection.ts';
import { log, oncePerMinute } from '../log.ts';
import { signalEndpoints, signalOverdueAgain } from '../outbox/signal-endpoints.ts';
import type { TemporalClient } from '../temporal-client.ts';
import { signalDelivery } from '../workflows/messages.ts';
import { type Repeated, repeat } from './repeat.ts';

const pollPauseMs = 250;
const signalTimeoutMs = 10_000;
const overduePauseMs = 60_000;

/**
 * Signals the workflows of webhook endpoints with new messages. Any number may run. While Temporal is down, messages
 * stay unsignalled.
 */
export function startWebhookSignals(database: Database, temporal: TemporalClient): Repeated {
  const mayLog = oncePerMinute();
  const warn = (error: unknown) => {
    if (mayLog('webhooks'))
      log.warn({ err: error }, 'Webhook endpoints could not be signalled; the worker retries');
  };
  const signal = (endpointId: string) =>
    temporal.call(signalTimeoutMs, (client) => signalDelivery(client, endpointId));
  const signalling = repeat(pollPauseMs, () => signalEndpoints(database, signal), warn);
  const again = repeat(overduePauseMs, () => signalOverdueAgain(database), warn);
  return {
    async stop() {
      await Promise.all([signalling.stop(), again.stop()]);
    },
  };
}
