import type { EntityManager } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';
import { type BatchOptions, inBatches } from '../database/in-batches.ts';

/** How long after its handling an event keeps its payload, in hours. */
const keptHours = 30 * 24;
/** Rows per short transaction. */
const rowsPerBatch = 1_000;

/** Reduces the payloads of a team's settled events to ids. */
export async function cutPayloads(em: EntityManager, teamId: string): Promise<void> {
  await em.execute(
    `update inbox i set payload = ${payloadIds('i.payload')}
      where i.team_id = ? and i.status in ('handled', 'ignored', 'dismissed') and jsonb_path_exists(i.payload, '$.cutAt') is not true`,
    [teamId],
  );
}

/**
 * Reduces the payloads of events that were settled 30 days ago to ids, so that they contain no name, no address and no
 * tax number. A reduced payload says when (`cutAt`).
 *
 * Ignored events without one of our teams are deleted then, because an organisation may sell many other things.
 *
 * @returns how many were reduced or deleted
 */
export async function cutOldPayloads(pool: Pool, options: BatchOptions = {}): Promise<number> {
  const cut = await inBatches(rowsPerBatch, (rows) => cutBatch(pool, rows), options);
  const { signal } = options;
  return cut + (await inBatches(rowsPerBatch, (rows) => deleteForeign(pool, rows), signal && { signal }));
}

async function cutBatch(pool: Pool, rows: number): Promise<number | null> {
  const { rowCount } = await pool.query(
    `with due as (
       select id
         from inbox
        where status in ('handled', 'ignored', 'dismissed')
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
    [keptHours, rows],
  );
  return rowCount;
}

async function deleteForeign(pool: Pool, rows: number): Promise<number | null> {
  const { rowCount } = await pool.query(
    `delete from inbox
      where id in (select id from inbox
                    where status = 'ignored' and team_id is null
                      and handled_at < (select billing_now() - make_interval(hours => $1))
                    limit $2
                      for update skip locked)`,
    [keptHours, rows],
  );
  return rowCount;
}

/** SQL for a payload reduced to ids, with the time when it was reduced (`cutAt`). */
function payloadIds(payload: string): string {
  return `jsonb_build_object('cutAt', billing_now(), 'data', (
            select coalesce(jsonb_object_agg(field.name, field.value), '{}')
              from jsonb_each(case when jsonb_typeof(${payload}->'data') = 'object' then ${payload}->'data'
                                   when jsonb_typeof(${payload}) = 'object' then ${payload}
                                   else '{}' end) as field (name, value)
             where field.name ~ '(^id|_id|Id)$' and field.name <> 'tax_id' and jsonb_typeof(field.value) = 'string'))`;
}
