import type { Pool } from 'pg';

/** Rows of one short transaction. */
const batchSize = 1_000;

/**
 * Deletes the rows of events that were handled, or were of no use, longer ago than they are kept. A message that the sender
 * repeats after that is stored and applied anew, which changes nothing: business keys recognise what was granted.
 *
 * Kept for good: what an operator decided about (a dismissed event keeps its object from being reported again), and each
 * team's `team.created`, by which `ledger:verify` knows that a trial must have been granted.
 *
 * @param keptMs  the catalog's `handledEventsKept`, in milliseconds
 * @returns how many were deleted
 */
export async function deleteHandledEvents(
  pool: Pool,
  keptMs: number,
  { onProgress, signal }: { onProgress?: (deleted: number) => void; signal?: AbortSignal } = {},
): Promise<number> {
  let deleted = 0;
  for (let last = batchSize; last === batchSize; ) {
    signal?.throwIfAborted();
    // Served by inbox_to_forget, which holds the rows that may be deleted.
    const { rowCount } = await pool.query(
      `delete from inbox
        where id in (select id from inbox
                      where status in ('handled', 'ignored') and decisions = '[]' and type <> 'team.created'
                        and handled_at < (select billing_now() - make_interval(secs => $1))
                      order by handled_at
                      limit $2
                        for update skip locked)`,
      [keptMs / 1_000, batchSize],
    );
    last = rowCount ?? 0;
    deleted += last;
    onProgress?.(deleted);
  }
  return deleted;
}
