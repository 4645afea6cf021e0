import type { Pool } from 'pg';
import { payloadIds } from '../teams/inbox.ts';

interface CutOptions {
  onProgress?: (cut: number) => void;
  signal?: AbortSignal;
}

/** How long after its handling an event keeps its payload, in hours. */
const kept = 30 * 24;
/** Rows of one short transaction. */
const batch = 1_000;

/**
 * Cuts the payloads of events that were handled 30 days ago to the ids in them: what is left can be looked up, and holds
 * no name, no address and no tax number. A payload that was cut says when (`cutAt`).
 *
 * @returns how many were cut
 */
export async function cutOldPayloads(pool: Pool, { onProgress, signal }: CutOptions = {}): Promise<number> {
  let cut = 0;
  for (let last = batch; last === batch; ) {
    signal?.throwIfAborted();
    const { rowCount } = await pool.query(
      `with due as (
         select id
           from inbox
          where status in ('handled', 'ignored')
            and handled_at < (select billing_now() - make_interval(hours => $1))
            and not payload ? 'cutAt'
          order by id
          limit $2
            for update skip locked
       )
       update inbox i
          set payload = ${payloadIds('i.payload')}
         from due
        where i.id = due.id`,
      [kept, batch],
    );
    last = rowCount ?? 0;
    cut += last;
    onProgress?.(cut);
  }
  return cut;
}
