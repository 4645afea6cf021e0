import type { Pool } from 'pg';
import { inPoolTransaction } from '../../database/pool-transaction.ts';

/** A month is closed this long after its end, when no open transaction can have read the clock in it. */
const closedAfter = '1 day';

/** The columns of a grant that its transfers change. */
export const grantColumns = [
  'granted',
  'available',
  'held',
  'consumed',
  'expired',
  'revoked',
  'settled',
] as const;

/** SQL columns: the sums of transfers, which are the changes of each column of their grants. */
export const sumsOfTransfers = [
  `coalesce(sum(amount) filter (where from_account = 'issued'), 0) as granted`,
  ...grantColumns
    .slice(1)
    .map(
      (account) =>
        `coalesce(sum(amount) filter (where to_account = '${account}'), 0) - coalesce(sum(amount) filter (where from_account = '${account}'), 0) as ${account}`,
    ),
].join(',\n       ');

/**
 * Adds up the transfers of each month that ended at least a day ago, in order, once. If two processes run this, one
 * waits.
 * @returns how many months were closed
 */
export async function closeMonths(pool: Pool): Promise<number> {
  let closed = 0;
  while (await closeNextMonth(pool)) closed += 1;
  return closed;
}

async function closeNextMonth(pool: Pool): Promise<boolean> {
  return inPoolTransaction(pool, async (client) => {
    await client.query('lock table closed_months in exclusive mode');
    const { rows } = await client.query<{ month: string }>(
      `with next as (
         select coalesce((select max(month) + interval '1 month' from closed_months),
                         date_trunc('month', (select min(created_at) from teams) at time zone 'UTC')) as month
       )
       insert into closed_months (month)
       select month::date from next
        where (month + interval '1 month') at time zone 'UTC' + interval '${closedAfter}' <= billing_now()
       returning month::text`,
    );
    const month = rows[0]?.month;
    if (month !== undefined) {
      await client.query(
        `insert into grant_months (team_id, month, grant_id, granted, available, held, consumed, expired, revoked, settled)
         select team_id, $1::date, grant_id, ${sumsOfTransfers}
           from transfers
          where at >= $1::timestamp at time zone 'UTC' and at < ($1::timestamp + interval '1 month') at time zone 'UTC'
          group by team_id, grant_id`,
        [month],
      );
    }
    return month !== undefined;
  });
}
