import type { Pool } from 'pg';
import { type BatchOptions, inBatches } from '../database/in-batches.ts';

/** Rows per short transaction. */
const rowsPerBatch = 1_000;

/**
 * Deletes the rows of events that were handled or ignored longer ago than the policy. If the sender repeats such an event
 * later, it is stored and applied again, and changes nothing, because its business keys exist.
 *
 * Kept permanently: events with an operator's decision (a dismissed event prevents a new report of its object), and each team's
 * `team.created`, from which `ledger:verify` knows that a trial must have been granted.
 *
 * @param keptMs  the catalog's `handledEventsKept`, in milliseconds
 * @returns how many were deleted
 */
export function deleteHandledEvents(pool: Pool, keptMs: number, options: BatchOptions = {}): Promise<number> {
  return inBatches(rowsPerBatch, (rows) => deleteBatch(pool, keptMs, rows), options);
}

async function deleteBatch(pool: Pool, keptMs: number, rows: number): Promise<number | null> {
  // Uses the index inbox_to_forget, which contains the rows that may be deleted.
  const { rowCount } = await pool.query(
    `delete from inbox
      where id in (select id from inbox
                    where status in ('handled', 'ignored') and decisions = '[]' and type <> 'team.created'
                      and handled_at < (select billing_now() - make_interval(secs => $1))
                    order by handled_at
                    limit $2
                      for update skip locked)`,
    [keptMs / 1_000, rows],
  );
  return rowCount;
}
