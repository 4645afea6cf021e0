import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../database/connection.ts';

export interface Metrics {
  /** Seconds from a request's first byte to its answer's last, by route. */
  httpSeconds: Histogram<'method' | 'route' | 'status'>;
  /** Spends by outcome: `debited`, or the code of the error. */
  spends: Counter<'outcome'>;
  /** All metrics in Prometheus' text format. */
  render(): Promise<{ contentType: string; text: string }>;
}

/**
 * This process's metrics: requests, spends, waiting inbox events (read from Postgres for each scrape), and Node's own.
 */
export function createMetrics(database: Database): Metrics {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const httpSeconds = new Histogram({
    name: 'billing_http_request_seconds',
    help: 'Duration of requests, by route',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [register],
  });
  const spends = new Counter({
    name: 'billing_spends_total',
    help: 'Spends by outcome',
    labelNames: ['outcome'] as const,
    registers: [register],
  });
  new Gauge({
    name: 'billing_inbox_waiting',
    help: 'Inbox rows that are not handled yet, by status and parked code',
    labelNames: ['status', 'code'] as const,
    registers: [register],
    async collect() {
      this.reset();
      for (const { status, code, rows } of await readWaiting(database)) this.set({ status, code }, rows);
    },
  });
  return {
    httpSeconds,
    spends,
    render: async () => ({ contentType: register.contentType, text: await register.metrics() }),
  };
}

/** Uses the partial index of waiting rows, so its cost does not grow with history. */
async function readWaiting(database: Database): Promise<{ status: string; code: string; rows: number }[]> {
  try {
    return await database.fork().execute(
      `select status, coalesce(parked_code, '') as code, count(*)::int as rows
           from inbox where status in ('received', 'parked') group by 1, 2`,
    );
  } catch {
    return []; // While the database is down the other metrics are still needed.
  }
}
