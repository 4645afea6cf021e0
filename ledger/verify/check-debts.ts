import { type Check, within } from './check.ts';

/** Debts and the transfers that settled them. Reads only the transfers of teams with debts. */
export const checkDebts: Check = {
  over: 'teams',
  rules: {
    'debt-equals-settlements': {
      holds: 'A debt’s settled credits are the net of the transfers debt:{key}',
      lookNext:
        'select * from transfers where team_id = … and reference = … order by id, and the debt’s debt_changes',
    },
    'debt-equals-last-change': {
      holds: 'A debt equals its last debt_changes row, and settled lies between 0 and owed',
      lookNext: 'select * from debt_changes where key = … order by id',
    },
    'debt-has-grants': {
      holds: 'A debt has grants of its team with its key',
      lookNext:
        'select * from grants where debt_key = …, and the order or the subscription that the key names',
    },
    'payments-equal-settlements': {
      holds: 'The amount that a grant has paid of a debt is the net of its transfers debt:{key}',
      lookNext: 'select * from transfers where team_id = … and reference = … order by id',
    },
    'team-knows-its-debts': {
      holds: 'A team with an outstanding debt has has_debts = true, so that the hot path settles it',
      lookNext: 'update teams set has_debts = true for this team, under its lock',
    },
  },
  find: `
    with owing as materialized (
      select d.* from debts d where ${within('d.team_id')}
    ), settlements as (
      select t.team_id, t.reference, t.grant_id, sum(case t.to_account when 'settled' then t.amount else -t.amount end) as paid
        from transfers t
       where t.team_id in (select team_id from owing) and t.kind = 'settle'
       group by 1, 2, 3
    ), settled as (
      select team_id, reference, sum(paid) as credits from settlements group by 1, 2
    ), last_changes as (
      select distinct on (c.key) c.key, c.team_id, c.owed, c.settled
        from debt_changes c
       where ${within('c.team_id')}
       order by c.key, c.id desc
    )
    select 'debt-equals-settlements' as rule, coalesce(d.team_id, s.team_id) as team_id,
           coalesce('debt ' || d.key, s.reference) as subject,
           coalesce(s.credits, 0)::text as expected, coalesce(d.settled::text, 'no such debt') as found
      from owing d
      full join settled s on s.team_id = d.team_id and s.reference = 'debt:' || d.key
     where d.settled is distinct from coalesce(s.credits, 0)
    union all
    select 'debt-equals-last-change', coalesce(d.team_id, c.team_id), format('debt %s', coalesce(d.key, c.key)),
           format('%s owed, %s settled', coalesce(c.owed, 0), coalesce(c.settled, 0)),
           case when d.key is null then 'no such debt' else format('%s owed, %s settled', d.owed, d.settled) end
      from owing d
      full join last_changes c on c.key = d.key and c.team_id = d.team_id
     where d.owed is distinct from c.owed or d.settled is distinct from c.settled or d.settled < 0 or d.settled > d.owed
    union all
    select 'debt-has-grants', d.team_id, format('debt %s', d.key), format('grants of team %s', d.team_id), 'none'
      from owing d
     where not exists (select from grants g where g.debt_key = d.key and g.team_id = d.team_id)
    union all
    select 'payments-equal-settlements', coalesce(s.team_id, p.team_id), format('%s, grant %s', coalesce(s.reference, 'debt:' || p.key), coalesce(s.grant_id, p.grant_id)),
           coalesce(s.paid, 0)::text, coalesce(p.credits, 0)::text
      from settlements s
      full join (select d.team_id, p.* from owing d join debt_payments p on p.key = d.key) p
        on 'debt:' || p.key = s.reference and p.grant_id = s.grant_id
     where coalesce(s.paid, 0) <> coalesce(p.credits, 0)
    union all
    select 'team-knows-its-debts', d.team_id, format('debt %s', d.key), 'has_debts',
           format('not has_debts, and %s outstanding', d.owed - d.settled)
      from owing d
      join teams on teams.id = d.team_id
     where d.owed > d.settled and not teams.has_debts`,
};
