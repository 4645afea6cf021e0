import { type Check, within } from './check.ts';

const seeHold =
  'the hold, its hold_draws, and select * from transfers where team_id = … and reference = ‘hold:{id}’ order by id';

/** Compares each hold with its draws, by primary keys only, because holds are many and few are open. */
export const checkHolds: Check = {
  over: 'holds',
  rules: {
    'hold-equals-draws': {
      holds: 'The held credits of a hold are the sum of its draws, each on a grant of its team',
      lookNext: seeHold,
    },
    'draws-equal-transfers': {
      holds: 'Each draw of a hold equals the transfer that held its credits, when the hold was created',
      lookNext: seeHold,
    },
    'draw-has-hold': {
      holds: 'The hold of every draw exists',
      lookNext: seeHold,
    },
    'captured-hold-has-event': {
      holds: 'A captured hold names the usage event that captured it, and that event names the hold',
      lookNext:
        'select * from usage_events where team_id = … and occurred_at = … and id = … (usage_event_id of the hold)',
    },
  },
  find: `
    with ranged as materialized (
      select h.* from holds h where ${within('h.id')}
    ), draws as materialized (
      select d.* from hold_draws d where ${within('d.hold_id')}
    ), drawn as (
      select d.hold_id, sum(d.credits) as credits, count(distinct g.team_id) as teams, min(g.team_id::text) as team_id, count(*) - count(g.id) as unknown
        from draws d
        left join grants g on g.id = d.grant_id
       group by 1
    ), set_aside as (
      select h.team_id, h.id as hold_id, t.grant_id, sum(t.amount) as credits
        from ranged h
        join transfers t on t.team_id = h.team_id and t.at = h.created_at and t.kind = 'hold' and t.reference = 'hold:' || h.id
       group by 1, 2, 3
    )
    select 'hold-equals-draws' as rule, h.team_id, format('hold %s', h.id) as subject,
           format('%s on grants of team %s', h.credits, h.team_id) as expected,
           format('%s on grants of team %s, %s grants unknown', coalesce(d.credits, 0), d.team_id, coalesce(d.unknown, 0)) as found
      from ranged h
      left join drawn d on d.hold_id = h.id
     where h.credits <> coalesce(d.credits, 0) or d.teams <> 1 or d.team_id <> h.team_id::text or d.unknown > 0
    union all
    select 'draws-equal-transfers', h.team_id, format('hold %s, grant %s', h.id, coalesce(d.grant_id, s.grant_id)),
           coalesce(s.credits, 0)::text, coalesce(d.credits, 0)::text
      from draws d
      full join set_aside s on s.hold_id = d.hold_id and s.grant_id = d.grant_id
      join ranged h on h.id = coalesce(d.hold_id, s.hold_id)
     where d.credits is distinct from s.credits
    union all
    select 'draw-has-hold', g.team_id, format('hold %s, grant %s', d.hold_id, d.grant_id), 'the hold', 'no such hold'
      from draws d
      left join ranged h on h.id = d.hold_id
      left join grants g on g.id = d.grant_id
     where h.id is null
    union all
    select 'captured-hold-has-event', h.team_id, format('hold %s', h.id), format('usage event %s of this hold', h.usage_event_id),
           case when e.id is null then 'no such event' else format('an event of hold %s', coalesce(e.hold_id::text, 'none')) end
      from ranged h
      left join usage_events e on e.team_id = h.team_id and e.occurred_at = h.occurred_at and e.id = h.usage_event_id
     where h.status = 'captured' and e.hold_id is distinct from h.id`,
};

/** Compares the held credits of grants and limits with the open holds. */
export const checkOpenHolds: Check = {
  over: 'teams',
  rules: {
    'held-equals-open-holds': {
      holds: 'A grant’s held credits are the draws of the open holds',
      lookNext:
        'select * from hold_draws join holds on id = hold_id where grant_id = …: an ended hold kept its credits, or an open one lost them',
    },
  },
  find: `
    with held as (
      select d.grant_id, sum(d.credits) as credits, min(h.team_id::text)::uuid as team_id
        from holds h
        join hold_draws d on d.hold_id = h.id
       where h.status = 'open' and ${within('h.team_id')}
       group by 1
    )
    select 'held-equals-open-holds' as rule, coalesce(g.team_id, of_draw.team_id, held.team_id) as team_id,
           format('grant %s', coalesce(g.id, held.grant_id)) as subject,
           coalesce(held.credits, 0)::text as expected, coalesce(coalesce(g.held, of_draw.held)::text, 'no such grant') as found
      from (select g.team_id, g.id, g.held from grants g where g.held <> 0 and ${within('g.team_id')}) g
      full join held on held.grant_id = g.id
      left join grants of_draw on of_draw.id = held.grant_id
     where coalesce(g.held, of_draw.held) is distinct from coalesce(held.credits, 0)`,
};
