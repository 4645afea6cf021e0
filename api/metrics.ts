import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../database/connection.ts';

export interface Metrics {
  /** Seconds from a request's first byte to its answer's last, by route. */
  httpSeconds: Histogram<'method' | 'route' | 'status'>;
  /** Spends by what became of them: `debited`, or the code of the refusal. */
  spends: Counter<'outcome'>;
  /** All of it in Prometheus' text format. */
  render(): Promise<{ contentType: string; text: string }>;
}

/** This process's metrics: requests, spends, what waits in the inbox (asked of Postgres per scrape), and Node's own. */
export function createMetrics(database: Database): Metrics {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const httpSeconds = new Histogram({
    name: 'billing_http_request_seconds',
    help: 'How long requests took, by route',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [register],
  });
  const spends = new Counter({
    name: 'billing_spends_total',
    help: 'Spends by what became of them',
    labelNames: ['outcome'] as const,
    registers: [register],
  });
  new Gauge({
    name: 'billing_inbox_waiting',
    help: 'Inbox rows that are not handled yet, by status and the code that they are parked under',
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

/** Served by the partial index on what waits, so that it costs nothing as history grows. */
async function readWaiting(database: Database): Promise<{ status: string; code: string; rows: number }[]> {
  try {
    return await database.fork().execute(
      `select status, coalesce(parked_code, '') as code, count(*)::int as rows
           from inbox where status in ('received', 'parked') group by 1, 2`,
    );
  } catch {
    return []; // The other metrics are wanted most of all while the database is down.
  }
}
