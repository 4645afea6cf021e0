import type { EntityManager } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';

interface CutOptions {
  onProgress?: (cut: number) => void;
  signal?: AbortSignal;
}

/** How long after its handling an event keeps its payload, in hours. */
const kept = 30 * 24;
/** Rows of one short transaction. */
const batch = 1_000;

/** Cuts what a team's settled events carry to the ids in it. */
export async function cutPayloads(em: EntityManager, teamId: string): Promise<void> {
  await em.execute(
    `update inbox i set payload = ${payloadIds('i.payload')}
      where i.team_id = ? and i.status in ('handled', 'ignored', 'dismissed') and jsonb_path_exists(i.payload, '$.cutAt') is not true`,
    [teamId],
  );
}

/**
 * Cuts the payloads of events that were handled 30 days ago to the ids in them: what is left can be looked up, and holds
 * no name, no address and no tax number. A payload that was cut says when (`cutAt`).
 *
 * Events of no use that name no team of ours are deleted then: an organisation may sell much else.
 *
 * @returns how many were cut or deleted
 */
export async function cutOldPayloads(pool: Pool, { onProgress, signal }: CutOptions = {}): Promise<number> {
  let cut = 0;
  for (let last = batch; last === batch; ) {
    signal?.throwIfAborted();
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
      [kept, batch],
    );
    last = rowCount ?? 0;
    cut += last;
    onProgress?.(cut);
  }
  return cut + (await deleteForeign(pool, signal));
}

async function deleteForeign(pool: Pool, signal: AbortSignal | undefined): Promise<number> {
  let deleted = 0;
  for (let last = batch; last === batch; ) {
    signal?.throwIfAborted();
    const { rowCount } = await pool.query(
      `delete from inbox
        where id in (select id from inbox
                      where status = 'ignored' and team_id is null
                        and handled_at < (select billing_now() - make_interval(hours => $1))
                      limit $2
                        for update skip locked)`,
      [kept, batch],
    );
    last = rowCount ?? 0;
    deleted += last;
  }
  return deleted;
}

/** SQL for a payload cut to the ids in it, with when it was cut (`cutAt`): what is left can be looked up. */
function payloadIds(payload: string): string {
  return `jsonb_build_object('cutAt', billing_now(), 'data', (
            select coalesce(jsonb_object_agg(field.name, field.value), '{}')
              from jsonb_each(case when jsonb_typeof(${payload}->'data') = 'object' then ${payload}->'data'
                                   when jsonb_typeof(${payload}) = 'object' then ${payload}
                                   else '{}' end) as field (name, value)
             where field.name ~ '(^id|_id|Id)$' and field.name <> 'tax_id' and jsonb_typeof(field.value) = 'string'))`;
}
