import type { Pool } from 'pg';
import { type BatchOptions, inBatches } from '../database/in-batches.ts';
import { inPoolTransaction } from '../database/pool-transaction.ts';

/** Rows per short transaction. */
const rowsPerBatch = 5_000;

/**
 * Deletes callers' keys that are older than the policy, in short transactions. The age of a usage key counts from its
 * creation or from `occurredAt`, whichever is later. The same transaction stores in `key_deletions` until when usage
 * has lost its keys. Usage that occurred earlier is refused from then on, even if the policy is lengthened later. A
 * retry without `occurredAt` after that time is a new request.
 *
 * @param keptMs  how long keys are kept, in milliseconds
 * @returns how many were deleted
 */
export function deleteOldKeys(pool: Pool, keptMs: number, options: BatchOptions = {}): Promise<number> {
  return inBatches(rowsPerBatch, (rows) => deleteBatch(pool, keptMs, rows), options);
}

async function deleteBatch(pool: Pool, keptMs: number, most: number): Promise<number> {
  return inPoolTransaction(pool, async (client) => {
    await client.query('select from key_deletions for update'); // one deletion at a time; spends only read it
    // The clock is read once, in a subquery: a comparison with a volatile function could not use an index.
    const { rows } = await client.query<{ deleted: string; up_to: string | null }>(
      `with deleted as (
         delete from idempotency_keys
          where ctid = any (array(
            select ctid from idempotency_keys
             where created_at < (select billing_now() - make_interval(secs => $1))
               and (occurred_at is null or occurred_at < (select billing_now() - make_interval(secs => $1)))
             limit $2))
         returning usage_event_id, greatest(created_at, occurred_at) as needed_at
       )
       select count(*) as deleted, (max(needed_at) filter (where usage_event_id is not null))::text as up_to from deleted`,
      [keptMs / 1_000, most],
    );
    const [row] = rows;
    if (!row) throw new Error('a count returned no row');
    if (row.up_to !== null)
      await client.query('update key_deletions set up_to = greatest(up_to, $1)', [row.up_to]);
    return Number(row.deleted);
  });
}
