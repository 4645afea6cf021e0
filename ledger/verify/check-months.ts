import { grantColumns, sumsOfTransfers } from '../read/closed-months.ts';
import { type Check, within } from './check.ts';

/** The monthly sums from which past balances are computed. */
export const checkMonths: Check = {
  over: 'teams',
  rules: {
    'month-equals-transfers': {
      holds: 'The sums of a grant in a closed month are the sums of its transfers in that month',
      lookNext:
        'transfers of the grant in that month; then delete from grant_months and closed_months: the maintenance schedule creates both again',
    },
  },
  find: `
    with summed as materialized (
      select team_id, c.month, grant_id, ${sumsOfTransfers}
        from closed_months c
        join transfers t on t.at >= c.month::timestamp at time zone 'UTC'
                        and t.at < (c.month + interval '1 month') at time zone 'UTC'
       where ${within('t.team_id')}
       group by team_id, c.month, grant_id
    ), stored as materialized (
      select * from grant_months m where ${within('m.team_id')}
    )
    select 'month-equals-transfers' as rule, team_id, format('%s of grant %s', to_char(month, 'YYYY-MM'), grant_id) as subject,
           ${describe('s')} as expected, ${describe('m')} as found
      from summed s
      full join stored m using (team_id, month, grant_id)
     where (${grantColumns.map((column) => `s.${column}`).join(', ')}) is distinct from (${grantColumns.map((column) => `m.${column}`).join(', ')})`,
};

function describe(table: string): string {
  return `coalesce(format('${grantColumns.map((column) => `${column} %s`).join(', ')}', ${grantColumns.map((column) => `${table}.${column}`).join(', ')}), 'nothing')`;
}
