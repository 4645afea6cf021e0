import { type Check, within } from './check.ts';

/** Delivered messages are kept for at least seven days (`messagesKept`), so these are complete. */
const recentDays = 6;

/**
 * Alerts against balances and sent messages. A team whose credits came in is left out until its next commit, which reviews its
 * alerts. The balance includes credits that have expired and are not booked, because time passes without a commit.
 */
export const checkAlerts: Check = {
  over: 'teams',
  rules: {
    'threshold-is-reported': {
      holds:
        'Every threshold that a team’s balance is at or below was reported: its alert_watermark is not above it, nor above a balance of zero',
      lookNext:
        'the team’s credits.low in the outbox, and its transfers since: the transaction did not review the alerts',
    },
    'alert-state-is-possible': {
      holds:
        'alert_watermark is at most alert_base, and if the balance was zero since credits came in, exhaustion_sent is true',
      lookNext: 'select alert_base, alert_watermark, exhaustion_sent from teams where id = …',
    },
    'alert-is-sent-once': {
      holds:
        'Since credits last came in, each credits.low is about lower thresholds than the balance of the one before, and credits.exhausted was sent once; an expiry is announced once for each notice',
      lookNext: 'select * from outbox where team_id = … order by seq',
    },
    'exhaustion-has-message': {
      holds: 'exhaustion_sent is true exactly if credits.exhausted was sent since credits last came in',
      lookNext: `select * from outbox where team_id = … and type = 'credits.exhausted' order by seq`,
    },
  },
  find: `
    with ranged as materialized (
      select t.id, t.low_balance, t.alert_base, t.alert_watermark, t.exhaustion_sent,
             coalesce((select sum(g.available) from grants g where g.team_id = t.id and g.open), 0) as balance,
             -- Uses the index transfers_without_usage.
             (select max(i.at) from transfers i
               where i.team_id = t.id and i.kind not in ('spend', 'hold', 'capture', 'release')
                 and i.to_account = 'available' and i.from_account <> 'held'
                 and i.at > (select billing_now() - interval '${recentDays} days')) as came_in_at
        from teams t
       where ${within('t.id')} and t.deleted_at is null and not t.credits_came_in
    ), thresholds as (
      select r.*, threshold,
             case when threshold like '%\\%' then div(alert_base * rtrim(threshold, '%')::numeric, 100)
                  else threshold::numeric * 1000000 end as credits
        from ranged r cross join unnest(r.low_balance || '{0}') as threshold
    ), recent as materialized (
      select o.team_id, o.seq, o.type, o.at, r.came_in_at, (o.data ->> 'available')::numeric as available,
             (select max((one ->> 'credits')::numeric) from jsonb_array_elements(o.data -> 'thresholds') as one) as highest
        from outbox o
        join ranged r on r.id = o.team_id
       where o.type in ('credits.low', 'credits.exhausted')
         and o.at >= coalesce(r.came_in_at, (select billing_now() - interval '${recentDays} days'))
    ), later as (
      -- A message of the instant at which credits came in may have been before them.
      select *, lag(available) over (partition by team_id, type order by seq) as before
        from recent where came_in_at is null or at > came_in_at
    )
    select 'threshold-is-reported' as rule, id as team_id, format('threshold %s', threshold) as subject,
           format('alert_watermark at most %s', credits) as expected, alert_watermark::text as found
      from thresholds
     where balance <= credits and alert_watermark > credits
    union all
    select 'alert-state-is-possible', id, 'the team', 'alert_watermark <= alert_base, sent at zero',
           format('base %s, watermark %s, exhaustion_sent %s', alert_base, alert_watermark, exhaustion_sent)
      from ranged
     where alert_watermark > alert_base or (alert_watermark = 0 and alert_base > 0 and not exhaustion_sent)
    union all
    select 'alert-is-sent-once', team_id, format('%s, seq %s', type, seq),
           case type when 'credits.low' then format('thresholds below %s', before) else 'one message' end,
           coalesce(highest::text, 'another message')
      from later
     where before is not null and (type = 'credits.exhausted' or highest >= before)
    union all
    select 'alert-is-sent-once', o.team_id, format('credits.expiring at %s', o.data ->> 'expiresAt'), '1', count(*)::text
      from outbox o
     where ${within('o.team_id')} and o.team_id is not null and o.type = 'credits.expiring'
     group by o.team_id, o.data ->> 'expiresAt', o.data ->> 'daysAhead'
    having count(*) > 1
    union all
    select 'exhaustion-has-message', r.id, 'exhaustion_sent', (not r.exhaustion_sent)::text, r.exhaustion_sent::text
      from ranged r
     where case when r.exhaustion_sent
                then r.came_in_at is not null
                     and not exists (select from recent m where m.team_id = r.id and m.type = 'credits.exhausted')
                else exists (select from later m where m.team_id = r.id and m.type = 'credits.exhausted') end`,
};
