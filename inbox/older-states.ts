import type { EntityManager } from '@mikro-orm/postgresql';

/**
 * Settles the waiting events that a newer state of the same object supersedes, so that many events cost little. Each
 * state of a subscription, of an order (`order.updated`, `order.refunded`) and of a team's members is complete, and an
 * older one never replaces a newer one. States of the same time are all kept. Not superseded: payments, parked events,
 * and states on the other side of a `team.deleted` among `ids`. Call it in a transaction under the team's lock.
 *
 * @returns ids of the events that this call settled
 */
export async function skipOlderStates(
  em: EntityManager,
  teamId: string,
  ids: readonly string[],
): Promise<string[]> {
  const rows = await em.execute<{ id: string }[]>(
    `with waiting as (
       select id, type, status,
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
     update inbox i
        set status = 'handled', next_signal_at = null, handled_at = billing_now(),
            outcome = 'Superseded by a newer state of the same object'
       from waiting w
       join newest n on n.segment = w.segment and n.state_of = w.state_of
      where i.id = w.id and w.status = 'received' and w.state_at < n.state_at
      returning i.id`,
    [teamId, JSON.stringify(ids)],
  );
  return rows.map(({ id }) => id);
}

/** SQL for Polar's time of an object's state, with microseconds; null if the payload has no valid time. */
const stateAt = `(select text::timestamptz from (values (coalesce(payload->'data'->>'modified_at', payload->'data'->>'created_at'))) as stated (text)
                   where pg_input_is_valid(text, 'timestamptz'))`;
