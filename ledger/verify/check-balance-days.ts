import { grantColumns, sumsOfTransfers } from '../read/closed-months.ts';
import { isKnownZoneSql } from '../read/usage-days.ts';
import { type Check, within } from './check.ts';

/** The sums by local day from which balance histories are read. */
export const checkBalanceDays: Check = {
  over: 'teams',
  rules: {
    'balance-day-equals-transfers': {
      holds: 'The stored sums of a local day are the sums of its transfers',
      lookNext:
        'transfers of the team on that day; then delete the time zone’s rows from balance_days: the next history stores them again',
    },
  },
  find: `
    with zones as materialized (
      select team_id, timezone, min(day) as first_day, max(day) as last_day
        from balance_days d
       where ${within('team_id')} and ${isKnownZoneSql('d')}
       group by team_id, timezone
    ), summed as (
      select z.team_id, z.timezone, (t.at at time zone z.timezone)::date as day, ${sumsOfTransfers}
        from zones z
        join transfers t on t.team_id = z.team_id
                        -- For the index: a local day begins and ends less than a day from that of UTC.
                        and t.at >= z.first_day - interval '1 day' and t.at < z.last_day + interval '2 days'
       group by 1, 2, 3
    ), compared as (
      select team_id, timezone, day, ${describe((column) => `coalesce(s.${column}, 0)`)} as expected, ${describe((column) => `d.${column}`)} as found
        from zones
        join balance_days d using (team_id, timezone)
        left join summed s using (team_id, timezone, day)
    )
    select 'balance-day-equals-transfers' as rule, team_id, format('%s in %s', day, timezone) as subject, expected, found
      from compared
     where expected <> found`,
};

function describe(amountOf: (column: string) => string): string {
  return `format('${grantColumns.map((column) => `${column} %s`).join(', ')}', ${grantColumns.map(amountOf).join(', ')})`;
}
