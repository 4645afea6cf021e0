import { type Check, within } from './check.ts';

const seeReceipt =
  'the event and its transfers: select * from transfers where team_id = … and usage_event_id = … (at is the event’s recorded_at)';

/** Compares usage events with the transfers that paid for them. */
export const checkUsage: Check = {
  over: 'teams',
  rules: {
    'event-equals-transfers': {
      holds: 'A usage event’s credits are the sum of the transfers that paid for it',
      lookNext: seeReceipt,
    },
    'event-is-paid-when-recorded': {
      holds: 'The transfers of a usage event have its recorded_at, with which its receipt is read',
      lookNext: seeReceipt,
    },
    'event-is-paid-as-its-kind': {
      holds: 'A usage event is paid by spends, or by captures if it captured a hold',
      lookNext: seeReceipt,
    },
    'transfer-has-event': {
      holds: 'The usage event of every transfer exists, in the same team',
      lookNext: 'the idempotency key of the event (usage_event_id), and a backup for the event',
    },
    'event-captures-its-hold': {
      holds: 'The hold of a usage event was captured by that event',
      lookNext: 'the hold, its hold_draws and its transfers (reference hold:{id})',
    },
    'event-has-team': {
      holds: 'The team of every usage event exists',
      lookNext: 'the grants that paid for these events: they have the right team',
    },
    'balance-after-is-possible': {
      holds: 'The balance after a usage event lies between 0 and all credits ever granted to the team',
      lookNext: 'the team’s balance as of the event’s recorded_at',
    },
  },
  find: `
    with paid as materialized (
      select t.team_id, t.usage_event_id as id, sum(t.amount) as credits, min(t.at) as first_at, max(t.at) as last_at,
             min(t.kind) as first_kind, max(t.kind) as last_kind
        from transfers t
       where ${within('t.team_id')} and t.usage_event_id is not null
       group by 1, 2
    ), events as materialized (
      select e.team_id, e.id, e.credits, e.recorded_at, e.balance_after, e.hold_id
        from usage_events e
       where ${within('e.team_id')}
    ), joined as materialized (
      select coalesce(e.team_id, p.team_id) as team_id, coalesce(e.id, p.id) as id, e.id is not null as is_known,
             e.credits, coalesce(p.credits, 0) as paid, e.recorded_at, p.first_at, p.last_at,
             case when e.hold_id is null then 'spend' else 'capture' end as kind, p.first_kind, p.last_kind
        from events e
        full join paid p on p.team_id = e.team_id and p.id = e.id
       where e.id is null or e.credits <> coalesce(p.credits, 0)
          or p.first_at <> e.recorded_at or p.last_at <> e.recorded_at
          or p.first_kind <> p.last_kind or (p.first_kind = 'spend') <> (e.hold_id is null)
    )
    select 'transfer-has-event' as rule, team_id, format('transfers of usage event %s', id) as subject,
           'the usage event' as expected, format('none, and %s paid for it', paid) as found
      from joined
     where not is_known
    union all
    select 'event-equals-transfers', team_id, format('usage event %s', id), credits::text, paid::text
      from joined
     where is_known and credits <> paid
    union all
    select 'event-is-paid-when-recorded', team_id, format('usage event %s', id), recorded_at::text,
           format('from %s to %s', first_at, last_at)
      from joined
     where is_known and (first_at <> recorded_at or last_at <> recorded_at)
    union all
    select 'event-is-paid-as-its-kind', team_id, format('usage event %s', id), kind,
           case when first_kind = last_kind then first_kind else format('%s and %s', first_kind, last_kind) end
      from joined
     where is_known and (first_kind <> kind or last_kind <> kind)
    union all
    select 'event-captures-its-hold', e.team_id, format('usage event %s', e.id), format('hold %s, captured by it', e.hold_id),
           case when h.id is null then 'no such hold' else format('a hold that is %s, by %s', h.status, coalesce(h.usage_event_id::text, 'no event')) end
      from events e
      left join holds h on h.id = e.hold_id and h.team_id = e.team_id
     where e.hold_id is not null and h.usage_event_id is distinct from e.id
    union all
    select 'event-has-team', e.team_id, format('%s usage events', count(*)), 'the team', 'no such team'
      from events e
     where not exists (select from teams where id = e.team_id)
     group by e.team_id
    union all
    select 'balance-after-is-possible', e.team_id, format('usage event %s', e.id),
           format('0 to %s', coalesce(g.granted, 0)), e.balance_after::text
      from events e
      left join (select g.team_id, sum(g.granted) as granted from grants g where ${within('g.team_id')} group by 1) g
        on g.team_id = e.team_id
     where e.balance_after < 0 or e.balance_after > coalesce(g.granted, 0)`,
};
