import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../database/connection.ts';
import { processMetrics } from '../metrics.ts';

export interface Metrics {
  /** Seconds from a request's first byte to its answer's last, by route. */
  httpSeconds: Histogram<'method' | 'route' | 'status'>;
  /** All metrics in Prometheus' text format. */
  render(): Promise<{ contentType: string; text: string }>;
}

/**
 * The metrics of an API process: requests, inbox and outbox (read from Postgres for each scrape), Node's own, and those
 * of `metrics.ts`.
 *
 * @param emailIsOn  false: stored e-mails are not sent, so their age is left out
 */
export function createMetrics(database: Database, emailIsOn: boolean): Metrics {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
  const httpSeconds = new Histogram({
    name: 'billing_http_request_seconds',
    help: 'Duration of requests, by route',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const waiting = new Gauge({
    name: 'billing_inbox_waiting',
    help: 'Inbox rows that are not handled yet, by status and parked code',
    labelNames: ['status', 'code'] as const,
    registers,
  });
  const oldest = new Gauge({
    name: 'billing_inbox_oldest_seconds',
    help: 'Age of the oldest inbox row that is not handled yet, by status and parked code',
    labelNames: ['status', 'code'] as const,
    registers,
  });
  const relayLag = new Gauge({
    name: 'billing_relay_lag_seconds',
    help: 'How long the inbox row that is due the longest has waited for the relay',
    registers,
  });
  const oldestMessage = new Gauge({
    name: 'billing_outbox_oldest_seconds',
    help: 'Age of the oldest message that an enabled webhook endpoint, or the recipient of an e-mail, did not get yet',
    labelNames: ['channel'] as const,
    registers,
  });
  const databaseUp = new Gauge({
    name: 'billing_database_up',
    help: 'Whether inbox and outbox could be read for this scrape: 1 or 0',
    registers,
  });

  return {
    httpSeconds,
    async render() {
      // If Postgres is down, the other metrics are still needed, without old values of these.
      const state = await readInboxAndOutbox(database).catch(() => undefined);
      databaseUp.set(state ? 1 : 0);
      waiting.reset();
      oldest.reset();
      relayLag.remove();
      oldestMessage.reset();
      if (state) {
        for (const { status, code, rows, ageSeconds } of state.waiting) {
          waiting.set({ status, code }, rows);
          oldest.set({ status, code }, ageSeconds);
        }
        relayLag.set(state.relayLagSeconds);
        oldestMessage.set({ channel: 'webhook' }, state.webhookSeconds);
        if (emailIsOn) oldestMessage.set({ channel: 'email' }, state.emailSeconds);
      }
      const text = `${await register.metrics()}${await processMetrics.metrics()}`;
      return { contentType: register.contentType, text };
    },
  };
}

/** Uses the partial indexes of waiting and due rows, so its cost does not grow with history. */
async function readInboxAndOutbox(database: Database): Promise<{
  waiting: { status: string; code: string; rows: number; ageSeconds: number }[];
  relayLagSeconds: number;
  webhookSeconds: number;
  emailSeconds: number;
}> {
  const em = database.fork();
  const [waiting, [due], [outbox]] = await Promise.all([
    em.execute<{ status: string; code: string; rows: number; ageSeconds: number }[]>(
      `select status, coalesce(parked_code, '') as code, count(*)::int as rows,
              greatest(0, extract(epoch from billing_now() - min(received_at)))::float8 as "ageSeconds"
         from inbox where status in ('received', 'parked') group by 1, 2`,
    ),
    // In wall time, as `next_signal_at`.
    em.execute<{ relayLagSeconds: number }[]>(
      `select coalesce(greatest(0, extract(epoch from clock_timestamp() - min(next_signal_at))), 0)::float8
                as "relayLagSeconds"
         from inbox where next_signal_at is not null`,
    ),
    em.execute<{ webhookSeconds: number; emailSeconds: number }[]>(
      `select coalesce(extract(epoch from billing_now() - (
                select min(m.at) from webhook_deliveries d
                  join webhook_endpoints e on e.id = d.endpoint_id and e.disabled_at is null and e.deleted_at is null
                  join outbox m on m.id = d.message_id
                 where d.status = 'pending'
              )), 0)::float8 as "webhookSeconds",
              coalesce(extract(epoch from billing_now() - (
                select min(created_at) from emails where status = 'pending'
              )), 0)::float8 as "emailSeconds"`,
    ),
  ]);
  if (!due || !outbox) throw new Error('Postgres returned no row');
  return { waiting, ...due, ...outbox };
}
