import type { EntityManager } from '@mikro-orm/postgresql';

/** In which order to apply a team's waiting events, and which need not be applied. */
export interface NextEvents {
  /** Ids of the events to apply, first to last. Settled and unknown ids are missing. */
  order: string[];
  /** Ids of the events that a newer state of the same object makes superfluous. */
  superseded: string[];
}

/**
 * Decides what becomes of a team's waiting events, so that a burst costs little:
 *
 * - Of several states of one object (a subscription; an order's updates; the team's members at Polar) only the newest is
 *   applied: each carries the whole state, and an older state never replaces a newer one. States of the same instant are all
 *   kept. A payment is never superseded, nor is a parked event.
 * - Payments overtake everything else. Nothing overtakes `team.deleted`, and `team.deleted` overtakes nothing.
 *
 * Reads only.
 */
export async function nextEvents(
  em: EntityManager,
  teamId: string,
  ids: readonly string[],
): Promise<NextEvents> {
  const rows = await em.execute<{ id: string; superseded: boolean }[]>(
    `with waiting as (
       select id, type, status, payload->'data'->>'id' as object,
              case when type like 'subscription.%' then 'subscription:' || (payload->'data'->>'id')
                   when type in ('order.updated', 'order.refunded') then 'order:' || (payload->'data'->>'id')
                   when type like 'member.%' or type = 'members.changed' then 'members' end as state_of,
              coalesce(case when type like 'subscription.%' or type like 'order.%' then ${stateAt} end, occurred_at) as state_at,
              count(*) filter (where type = 'team.deleted') over (order by id) as segment
         from inbox
        where team_id = ? and status in ('received', 'parked')
          and id in (select value::uuid from jsonb_array_elements_text(?::jsonb))
     ), newest as (
       select segment, state_of, max(state_at) as state_at
         from waiting
        where state_of is not null and status = 'received'
        group by segment, state_of
     )
     select w.id, w.status = 'received' and coalesce(w.state_at < n.state_at, false) as superseded
       from waiting w left join newest n on n.segment = w.segment and n.state_of = w.state_of
      order by w.segment, w.type <> 'team.deleted', w.type <> 'order.paid', w.id`,
    [teamId, JSON.stringify(ids)],
  );
  const idsOf = (superseded: boolean) =>
    rows.filter((row) => row.superseded === superseded).map(({ id }) => id);
  return { order: idsOf(false), superseded: idsOf(true) };
}

/**
 * Marks events as handled without applying them, in one statement: a newer state of the same object waits. Call it in a
 * transaction behind the team's lock, with `superseded` of `nextEvents`.
 */
export async function markSuperseded(
  em: EntityManager,
  teamId: string,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await em.execute(
    `update inbox set status = 'handled', next_signal_at = null, handled_at = billing_now(),
                      outcome = 'Superseded by a newer state of the same object'
      where team_id = ? and status = 'received' and id in (select value::uuid from jsonb_array_elements_text(?::jsonb))`,
    [teamId, JSON.stringify(ids)],
  );
}

/** SQL for Polar's time of an object's state, with microseconds; null if the payload has none that is a time. */
const stateAt = `(select text::timestamptz from (values (coalesce(payload->'data'->>'modified_at', payload->'data'->>'created_at'))) as stated (text)
                   where pg_input_is_valid(text, 'timestamptz'))`;
