import type { Pool } from 'pg';
import { type BatchOptions, inBatches } from '../database/in-batches.ts';

/** Rows per short transaction. */
const rowsPerBatch = 1_000;

/**
 * Deletes old messages that every endpoint got, with their deliveries and e-mails. A message that waits for an endpoint, or
 * has failed for one, is kept until it is delivered or the endpoint is deleted. A pending e-mail does not keep its message,
 * because it is too old to be sent.
 *
 * @param keptMs  the catalog's `messagesKept`, in milliseconds
 * @returns how many messages were deleted
 */
export function pruneOutbox(pool: Pool, keptMs: number, options: BatchOptions = {}): Promise<number> {
  return inBatches(rowsPerBatch, (rows) => deleteBatch(pool, keptMs, rows), options);
}

async function deleteBatch(pool: Pool, keptMs: number, rows: number): Promise<number | null> {
  const { rowCount } = await pool.query(
    `with old as materialized (
       select m.id from outbox m
        where m.at < (select billing_now() - make_interval(secs => $1))
          and not exists (select from webhook_deliveries d
                            join webhook_endpoints e on e.id = d.endpoint_id and e.deleted_at is null
                           where d.message_id = m.id and d.status <> 'delivered')
        order by m.at limit $2
     ), deliveries as (
       delete from webhook_deliveries where message_id in (select id from old)
     ), mails as (
       delete from emails where message_id in (select id from old)
     )
     delete from outbox where id in (select id from old)`,
    [keptMs / 1_000, rows],
  );
  return rowCount;
}
