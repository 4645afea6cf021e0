import type { Pool } from 'pg';

/** How many months ahead of the clock the partitions of usage and transfers exist. */
const monthsAhead = 3;
/**
 * Usage may be reported late, up to the time for which callers' keys are kept. Four months are at least 120 days, the
 * maximum.
 */
const monthsBack = 4;

/**
 * Creates the missing monthly partitions around the current time. Safe to run at any time, by any number of processes.
 */
export async function createMissingPartitions(pool: Pool): Promise<void> {
  await pool.query(
    `select create_partitions((date_trunc('month', billing_now() at time zone 'UTC') + make_interval(months => n))::date)
       from generate_series($1::int, $2::int) as n`,
    [-monthsBack, monthsAhead],
  );
}

/** Whether a statement failed only because its month has no partition yet (SQLSTATE 23514, from tuple routing). */
export function isMissingPartition(error: unknown): boolean {
  return error instanceof Error && /no partition of relation/.test(error.message);
}
