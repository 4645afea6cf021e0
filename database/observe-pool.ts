import type { Pool } from 'pg';
import { Gauge } from 'prom-client';
import { processMetrics } from '../metrics.ts';

const open = new Map<Pool, string>();

new Gauge({
  name: 'billing_pool_connections',
  help: 'Open connections to Postgres, by pool',
  labelNames: ['pool', 'state'] as const,
  registers: [processMetrics],
  collect() {
    this.reset();
    for (const [{ idleCount, totalCount }, pool] of open) {
      this.inc({ pool, state: 'idle' }, idleCount);
      this.inc({ pool, state: 'used' }, totalCount - idleCount);
    }
  },
});

new Gauge({
  name: 'billing_pool_waiting',
  help: 'Requests that wait for a free connection, by pool',
  labelNames: ['pool'] as const,
  registers: [processMetrics],
  collect() {
    this.reset();
    for (const [{ waitingCount }, pool] of open) this.inc({ pool }, waitingCount);
  },
});

/** Adds a pool to this process's metrics. Returns a function that removes it. Pools of one name are added up. */
export function observePool(name: string, pool: Pool): () => void {
  open.set(pool, name);
  return () => void open.delete(pool);
}
