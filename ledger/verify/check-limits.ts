import { type Check, within } from './check.ts';

/**
 * Limits and what they count. Reads only the usage of teams with limits. A cycle may have begun before we knew it. The
 * usage in between was counted for the previous cycle.
 */
export const checkLimits: Check = {
  over: 'teams',
  rules: {
    'limit-counts-its-window': {
      holds:
        'The consumed credits of a limit are what its subject consumed since its window began; for a cycle at most that',
      lookNext:
        'the subject’s usage events since window_start: DELETE the limit and PUT it again to count again',
    },
    'limit-counts-open-holds': {
      holds: 'The held credits of a limit are those of its subject’s open holds',
      lookNext: 'the subject’s open holds: DELETE the limit and PUT it again to count again',
    },
    'limit-equals-last-mark': {
      holds: 'The total of a limit equals its last mark, from which a later cycle counts',
      lookNext:
        'select * from limit_marks where counter_id = … order by at desc: DELETE the limit and PUT it again to count again',
    },
    'team-knows-its-limits': {
      holds: 'A team with limits has has_limits = true, so that the hot path checks them',
      lookNext: 'update teams set has_limits = true for this team, under its lock',
    },
  },
  find: `
    with ranged as materialized (
      select l.* from limits l where l.active and ${within('l.team_id')}
    ), consumed as (
      select l.team_id, l.subject, l.subject_id, sum(e.credits) as credits
        from usage_events e
       cross join lateral (values ('member', e.member_id), ('key', e.api_key_id)) as by (subject, subject_id)
        join ranged l on l.team_id = e.team_id and l.subject = by.subject and l.subject_id = by.subject_id and e.recorded_at >= l.window_start
       where e.team_id in (select team_id from ranged)
       group by 1, 2, 3
    ), held as (
      select l.team_id, l.subject, l.subject_id, sum(h.credits) as credits
        from ranged l
        join holds h on h.team_id = l.team_id and h.status = 'open'
                    and l.subject_id = case l.subject when 'member' then h.member_id else h.api_key_id end
       group by 1, 2, 3
    )
    select 'limit-counts-its-window' as rule, l.team_id, format('limit of %s %s per %s', l.subject, l.subject_id, l.per) as subject,
           format('%s since %s', coalesce(c.credits, 0), l.window_start) as expected, l.consumed::text as found
      from ranged l
      left join consumed c using (team_id, subject, subject_id)
     where case l.per when 'cycle' then l.consumed > coalesce(c.credits, 0) else l.consumed <> coalesce(c.credits, 0) end
    union all
    select 'limit-counts-open-holds', l.team_id, format('limit of %s %s per %s', l.subject, l.subject_id, l.per),
           coalesce(h.credits, 0)::text, l.held::text
      from ranged l
      left join held h using (team_id, subject, subject_id)
     where l.held <> coalesce(h.credits, 0)
    union all
    select 'limit-equals-last-mark', l.team_id, format('limit of %s %s per %s', l.subject, l.subject_id, l.per),
           l.total::text, coalesce(m.total::text, 'no mark')
      from ranged l
      left join lateral (
        select total from limit_marks where counter_id = l.counter_id order by at desc limit 1
      ) m on true
     -- The marks before a limit counted are negative.
     where case when l.total = 0 then m.total > 0 else m.total is distinct from l.total end
    union all
    select 'team-knows-its-limits', t.id, 'the team', 'has_limits', 'not has_limits'
      from teams t
     where not t.has_limits and t.id in (select team_id from ranged)`,
};
