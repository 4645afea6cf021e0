import { daySums, isKnownZoneSql, lateDaysSql, localDaySql, storedSumsSql } from '../read/usage-days.ts';
import { type Check, within } from './check.ts';

const localDay = localDaySql('z.timezone');
const sums = daySums(localDay);

/** The sums by local day from which reports are computed. */
export const checkUsageDays: Check = {
  over: 'teams',
  rules: {
    'usage-day-equals-events': {
      holds: 'The sums of a counted local day are the sums of its usage events',
      lookNext:
        'usage_events of the team on that day; then delete the time zone’s rows from usage_days and usage_zones: the next report counts them again',
    },
  },
  find: `
    with zones as materialized (
      select z.*, ${lateDaysSql('z')} as late from usage_zones z where ${within('z.team_id')} and ${isKnownZoneSql('z')}
    ), summed as (
      select z.team_id, z.timezone, ${sums.columns}
        from zones z
        join usage_events e on e.team_id = z.team_id and ${localDay} >= z.first_day and ${localDay} < z.next_day
                           -- For the index: a local day begins and ends less than a day from that of UTC.
                           and e.occurred_at >= z.first_day - interval '1 day' and e.occurred_at < z.next_day + interval '1 day'
       group by z.team_id, z.timezone, ${sums.groupBy}
    ), compared as (
      select team_id, timezone, dimension, day, value, price_version,
             sum(counted_credits) as counted_credits, sum(counted_events) as counted_events,
             sum(stored_credits) as stored_credits, sum(stored_events) as stored_events
        from (select team_id, timezone, dimension, day, value, price_version,
                     credits as counted_credits, events as counted_events, 0 as stored_credits, 0 as stored_events
                from summed
               union all
              select d.team_id, d.timezone, d.dimension, d.day, s.value, s.price_version, 0, 0, s.credits, s.events
                from usage_days d
               cross join lateral ${storedSumsSql}
               where ${within('d.team_id')} and ${isKnownZoneSql('d')}) as both_sides
       group by team_id, timezone, dimension, day, value, price_version
    )
    select 'usage-day-equals-events' as rule, c.team_id,
           format('%s %s on %s in %s', c.dimension, coalesce(c.value, '(none)'), c.day, c.timezone) as subject,
           format('%s micro-credits, %s events', c.counted_credits, c.counted_events) as expected,
           format('%s micro-credits, %s events', c.stored_credits, c.stored_events) as found
      from compared c
      left join zones z using (team_id, timezone)
     where (c.counted_credits <> c.stored_credits or c.counted_events <> c.stored_events)
       and not coalesce(z.late @> c.day, false)`,
};
