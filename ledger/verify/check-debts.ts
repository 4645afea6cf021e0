import { type Check, within } from './check.ts';

/** What clawbacks could not take, and what settled it. Only the transfers of teams with debts are read. */
export const checkDebts: Check = {
  over: 'teams',
  rules: {
    'debt-equals-settlements': {
      holds: 'A debt’s settled credits are the net of the transfers debt:{order}',
      lookNext:
        'select * from transfers where team_id = … and reference = … order by id, and the order’s debt_changes',
    },
    'debt-equals-last-change': {
      holds: 'A debt stands as its last debt_changes row says, settled between 0 and owed',
      lookNext: 'select * from debt_changes where order_id = … order by id',
    },
    'debt-has-order': {
      holds: 'A debt belongs to an order of its team',
      lookNext: 'the order at Polar, and the grants with this order_id',
    },
    'team-knows-its-debts': {
      holds: 'A team with an outstanding debt says so (has_debts), so that the hot path settles it',
      lookNext: 'update teams set has_debts = true for this team, behind its lock',
    },
  },
  sql: `
    with owing as materialized (
      select d.* from debts d where ${within('d.team_id')}
    ), settlements as (
      select t.team_id, t.reference, sum(case t.to_account when 'settled' then t.amount else -t.amount end) as credits
        from transfers t
       where t.team_id in (select team_id from owing) and t.kind = 'settle'
       group by 1, 2
    ), last_changes as (
      select distinct on (c.order_id) c.order_id, c.team_id, c.owed, c.settled
        from debt_changes c
       where ${within('c.team_id')}
       order by c.order_id, c.id desc
    )
    select 'debt-equals-settlements' as rule, coalesce(d.team_id, s.team_id) as team_id,
           coalesce('debt of order ' || d.order_id, s.reference) as subject,
           coalesce(s.credits, 0)::text as expected, coalesce(d.settled::text, 'no such debt') as found
      from owing d
      full join settlements s on s.team_id = d.team_id and s.reference = 'debt:' || d.order_id
     where d.settled is distinct from coalesce(s.credits, 0)
    union all
    select 'debt-equals-last-change', coalesce(d.team_id, c.team_id), format('debt of order %s', coalesce(d.order_id, c.order_id)),
           format('%s owed, %s settled', coalesce(c.owed, 0), coalesce(c.settled, 0)),
           case when d.order_id is null then 'no such debt' else format('%s owed, %s settled', d.owed, d.settled) end
      from owing d
      full join last_changes c on c.order_id = d.order_id and c.team_id = d.team_id
     where d.owed is distinct from c.owed or d.settled is distinct from c.settled or d.settled < 0 or d.settled > d.owed
    union all
    select 'debt-has-order', d.team_id, format('debt of order %s', d.order_id), format('an order of team %s', d.team_id),
           coalesce('an order of team ' || o.team_id, 'no such order')
      from owing d
      left join orders o on o.id = d.order_id
     where o.team_id is distinct from d.team_id
    union all
    select 'team-knows-its-debts', d.team_id, format('debt of order %s', d.order_id), 'has_debts',
           format('not has_debts, and %s outstanding', d.owed - d.settled)
      from owing d
      join teams on teams.id = d.team_id
     where d.owed > d.settled and not teams.has_debts`,
};
