import type { Pool } from 'pg';

interface DeleteOptions {
  onProgress?: (deleted: number) => void;
  signal?: AbortSignal;
}

/** Rows of one short transaction. */
const batch = 5_000;

/**
 * Deletes callers' keys that were written longer ago than keys are kept, in short transactions. Usage that says it is
 * so old is refused at the door; whatever else is sent again after so long is a new request.
 *
 * @param kept  milliseconds
 * @returns how many were deleted
 */
export async function deleteOldKeys(
  pool: Pool,
  kept: number,
  { onProgress, signal }: DeleteOptions = {},
): Promise<number> {
  let deleted = 0;
  for (let last = batch; last === batch; ) {
    signal?.throwIfAborted();
    // The clock is read once, as a subquery: compared with a volatile function no index could be used.
    const { rowCount } = await pool.query(
      `delete from idempotency_keys
        where ctid = any (array(
          select ctid from idempotency_keys
           where created_at < (select billing_now() - make_interval(secs => $1))
           limit $2))`,
      [kept / 1_000, batch],
    );
    last = rowCount ?? 0;
    deleted += last;
    onProgress?.(deleted);
  }
  return deleted;
}
