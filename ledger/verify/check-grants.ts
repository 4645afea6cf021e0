import { type Check, within } from './check.ts';

const columns = ['available', 'held', 'consumed', 'expired', 'revoked', 'settled'];

/** The accounts of each kind of transfer. */
const movesOfKind = {
  grant: ['issued → available'],
  spend: ['available → consumed'],
  hold: ['available → held'],
  capture: ['held → consumed', 'available → consumed'],
  release: ['held → available', 'held → expired', 'held → revoked'],
  expire: ['available → expired'],
  reinstate: ['expired → available'],
  clawback: ['available → revoked', 'revoked → available'],
  settle: ['available → settled', 'settled → available'],
  adjust: ['available → revoked'],
  forfeit: ['available → revoked'],
};

const allowed = Object.entries(movesOfKind)
  .flatMap(([kind, moves]) => moves.map((move) => `('${kind}', '${move}')`))
  .join(', ');

const transfersOf = 'its transfers: select * from transfers where team_id = … and grant_id = … order by id';

/** Compares grants with their transfers, in one scan of the transfers. */
export const checkGrants: Check = {
  over: 'teams',
  rules: {
    'grant-equals-transfers': {
      holds: 'Each column of a grant is the sum of its transfers',
      lookNext: transfersOf,
    },
    'grant-is-balanced': {
      holds: 'granted = available + held + consumed + expired + revoked + settled, each ≥ 0',
      lookNext: 'whether the table grants still has the check grant_is_balanced, and the grant’s transfers',
    },
    'grant-is-issued-once': {
      holds: 'A grant is issued by one transfer, at its creation, and has no earlier transfer',
      lookNext: transfersOf,
    },
    'transfer-has-grant': {
      holds: 'The grant of every transfer exists',
      lookNext: 'a backup or an audit log for the grant; its credits still count in receipts',
    },
    'transfer-has-team': {
      holds: 'The team of every transfer exists',
      lookNext: 'the grant of these transfers: it has the right team',
    },
    'transfer-is-of-its-grants-team': {
      holds: 'A transfer belongs to the team of its grant',
      lookNext: 'the usage event or the reference of these transfers: it has the right team',
    },
    'transfer-moves-as-its-kind': {
      holds:
        'A transfer moves credits between the accounts of its kind, and names a usage event if it consumes',
      lookNext: transfersOf,
    },
    'clawback-restores-its-own': {
      holds: 'A clawback gives back no more than clawbacks took from the grant',
      lookNext: transfersOf,
    },
    'revoked-says-why': {
      holds: 'A grant’s adjusted and written-off credits equal what adjustments and forfeits took from it',
      lookNext: transfersOf,
    },
    'settlement-has-debt': {
      holds: 'Credits settle a debt only if the team has one',
      lookNext: 'the reference of these transfers: debt:{key}',
    },
  },
  find: `
    with moves as materialized (
      select t.team_id, t.grant_id, t.kind, t.from_account, t.to_account, t.usage_event_id is not null as for_event,
             sum(t.amount) as amount, count(*) as transfers, min(t.at) as first_at
        from transfers t
       where ${within('t.team_id')}
       group by 1, 2, 3, 4, 5, 6
    ), summed as (
      select m.grant_id, side.account, sum(side.amount) as credits
        from moves m
       cross join lateral (values (m.to_account, m.amount),
                                  (m.from_account, case m.from_account when 'issued' then m.amount else -m.amount end)) as side (account, amount)
       group by 1, 2
    ), grant_columns as (
      select g.team_id, g.id, c.account, c.credits
        from grants g
       cross join lateral (values ('issued', g.granted), ${columns.map((column) => `('${column}', g.${column})`).join(', ')}) as c (account, credits)
       where ${within('g.team_id')}
    ), by_grant as (
      select grant_id, team_id, sum(transfers) as transfers, min(first_at) as first_at,
             coalesce(sum(transfers) filter (where from_account = 'issued'), 0) as issues
        from moves
       group by 1, 2
    )
    select 'grant-equals-transfers' as rule, c.team_id,
           format('grant %s, %s', c.id, case c.account when 'issued' then 'granted' else c.account end) as subject,
           coalesce(s.credits, 0)::text as expected, c.credits::text as found
      from grant_columns c
      left join summed s on s.grant_id = c.id and s.account = c.account
     where c.credits is distinct from coalesce(s.credits, 0)
    union all
    select 'grant-is-balanced', g.team_id, format('grant %s', g.id), format('%s in all, none negative', g.granted),
           concat_ws(' + ', ${columns.map((column) => `g.${column}`).join(', ')})
      from grants g
     where ${within('g.team_id')}
       and (g.granted is distinct from ${columns.map((column) => `g.${column}`).join(' + ')}
            or least(g.granted - 1, ${columns.map((column) => `g.${column}`).join(', ')}) < 0)
    union all
    select 'grant-is-issued-once', g.team_id, format('grant %s', g.id), format('one issue at %s, nothing before', g.created_at),
           format('%s issues, the first transfer at %s', coalesce(b.issues, 0), coalesce(b.first_at::text, 'no time'))
      from grants g
      left join by_grant b on b.grant_id = g.id and b.team_id = g.team_id
     where ${within('g.team_id')}
       and (b.issues is distinct from 1 or b.first_at is distinct from g.created_at)
    union all
    select 'transfer-has-grant', b.team_id, format('%s transfers of grant %s', b.transfers, b.grant_id), 'the grant', 'no such grant'
      from by_grant b
     where not exists (select from grants g where g.id = b.grant_id)
    union all
    select 'transfer-is-of-its-grants-team', b.team_id, format('%s transfers of grant %s', b.transfers, b.grant_id),
           format('team %s', g.team_id), format('team %s', b.team_id)
      from by_grant b
      join grants g on g.id = b.grant_id
     where g.team_id <> b.team_id
    union all
    select 'transfer-has-team', m.team_id, format('%s transfers', sum(m.transfers)), 'the team', 'no such team'
      from moves m
     where not exists (select from teams where id = m.team_id)
     group by m.team_id
    union all
    select 'transfer-moves-as-its-kind', m.team_id, format('%s transfers of grant %s', m.transfers, m.grant_id),
           format('%s: %s%s', m.kind,
                  coalesce((select string_agg(a.move, ' or ') from (values ${allowed}) as a (kind, move) where a.kind = m.kind), 'an unknown kind'),
                  case when m.kind in ('spend', 'capture') then ' for a usage event' else ' with a reference' end),
           format('%s: %s → %s%s', m.kind, m.from_account, m.to_account,
                  case when m.for_event then ' for a usage event' else ' with a reference' end)
      from moves m
     where (m.kind, m.from_account || ' → ' || m.to_account) not in (values ${allowed})
        or (m.kind in ('spend', 'capture')) <> m.for_event
    union all
    select 'clawback-restores-its-own', m.team_id, format('grant %s', m.grant_id),
           format('at most %s', coalesce(sum(m.amount) filter (where m.to_account = 'revoked'), 0)),
           (sum(m.amount) filter (where m.from_account = 'revoked'))::text
      from moves m
     where m.kind = 'clawback' or (m.kind = 'release' and m.to_account = 'revoked') -- held credits of an un-paid order
     group by m.team_id, m.grant_id
    having sum(case m.to_account when 'revoked' then m.amount else -m.amount end) < 0
    union all
    select 'revoked-says-why', g.team_id, format('grant %s', g.id), format('%s by hand or forfeited', coalesce(m.taken, 0)),
           format('%s adjusted, %s written off', g.adjusted, g.written_off)
      from grants g
      left join (select grant_id, sum(amount) as taken from moves where kind in ('adjust', 'forfeit') group by 1) m on m.grant_id = g.id
     where ${within('g.team_id')}
       and g.adjusted + g.written_off <> coalesce(m.taken, 0)
    union all
    select 'settlement-has-debt', m.team_id, format('%s transfers of grant %s', m.transfers, m.grant_id), 'a debt of the team', 'none'
      from moves m
     where m.kind = 'settle'
       and not exists (select from debts d where d.team_id = m.team_id)`,
};
