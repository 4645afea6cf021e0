import { setTimeout } from 'node:timers/promises';
import type { Pool } from 'pg';

/**
 * Waits until at least this many sessions of the pool's database wait for a lock. The limit is that of the test.
 *
 * Queries on the pool, never on the connection that holds the lock: inside a transaction, `pg_stat_activity` shows the
 * sessions as they were at its first query.
 */
export async function untilWaitingForLock(pool: Pool, sessions = 1): Promise<void> {
  for (;;) {
    const { rows } = await pool.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    if (rows.length >= sessions) return;
    await setTimeout(20);
  }
}
