import type { Pool } from 'pg';

/**
 * Watches a pool for `Database.isUsable`. If all connections are in use, a small statement would wait behind the work of
 * callers, so a busy pool would look like a dead one. Then the pool is usable if it got back a living connection lately.
 *
 * @param limits  the maximum number of connections, and the time after which a statement is ended, in milliseconds
 * @returns whether the pool is usable: false also if Postgres is a standby, which cannot be written to
 */
export function watchPool(
  pool: Pool,
  { connections, statementTimeoutMs }: { connections: number; statementTimeoutMs: number },
): () => Promise<boolean> {
  let returnedAt = performance.now();
  pool.on('release', (error, client) => {
    if (!error && !client.connection.stream.destroyed) returnedAt = performance.now();
  });
  return async () => {
    const isBusy = pool.totalCount >= connections && pool.idleCount === 0;
    if (isBusy && performance.now() - returnedAt < statementTimeoutMs) return true;
    try {
      const { rows } = await pool.query<{ writable: boolean }>('select not pg_is_in_recovery() as writable');
      return rows[0]?.writable === true;
    } catch {
      return false;
    }
  };
}
