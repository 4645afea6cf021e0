import type { Database } from '../../database/connection.ts';
import { readSnapshot } from '../../database/pool-transaction.ts';
import { sumsOfTransfers } from './closed-months.ts';
import { checkReportRange } from './report-range.ts';
import { refuseUnknownTimezone } from './unknown-timezone.ts';

/** A team's balance over time, as its transfers are booked. All amounts in micro-credits. */
export interface BalanceHistory {
  /** Before the first day. */
  opening: { available: bigint; held: bigint };
  /** Every local day of the range that has begun, oldest first. */
  days: BalanceDay[];
  asOf: Date;
}

/**
 * What a local day changed, and the balance at its end. Each sum is net: credits that were given back (a reinstated cycle, a
 * reversed clawback) are subtracted, so it can be negative. The change of `available + held` is
 * `granted - consumed - expired - revoked - settled`.
 */
export interface BalanceDay {
  /** `2026-01-31` in the requested time zone. */
  day: string;
  granted: bigint;
  consumed: bigint;
  expired: bigint;
  revoked: bigint;
  settled: bigint;
  available: bigint;
  held: bigint;
}

const flows = ['granted', 'consumed', 'expired', 'revoked', 'settled'] as const;

/**
 * The balance at the end of each local day in `[from, to)`, and what changed it. It reads the sums of the closed months before
 * the range, and the transfers since. Credits that have expired are subtracted on the day when their expiry is booked.
 * @throws DomainError `empty_range`, `range_too_long`, `unknown_timezone`
 */
export async function readBalanceHistory(
  { pool }: Database,
  { teamId, from, to, timezone }: { teamId: string; from: Date; to: Date; timezone: string },
): Promise<BalanceHistory> {
  checkReportRange(from, to);
  return readSnapshot(pool, async (client) => {
    const { rows: openings } = await client.query<{ available: string; held: string; as_of: string }>({
      name: 'balance-history-opening',
      text: `with closed as materialized (
               select coalesce(max((month + interval '1 month') at time zone 'UTC'), '-infinity') as up_to
                 from closed_months
                where (month + interval '1 month') at time zone 'UTC' <= $2
             )
             select coalesce(sum(available), 0) as available, coalesce(sum(held), 0) as held,
                    extract(epoch from billing_now()) * 1000 as as_of
               from (select available, held
                       from grant_months
                      where team_id = $1 and month < (select up_to from closed) at time zone 'UTC'
                     union all
                     select available, held
                       from (select ${sumsOfTransfers}
                               from transfers
                              where team_id = $1 and at >= (select up_to from closed) and at < $2) as since) as parts`,
      values: [teamId, from],
    });
    const [opening] = openings;
    if (!opening) throw new Error('the sums before the range were not read');
    const { rows } = await client
      .query<Record<'day' | 'available' | 'held' | (typeof flows)[number], string>>({
        name: 'balance-history-days',
        text: `select d.day::date::text as day, ${[...flows, 'available', 'held']
          .map((column) => `coalesce(m.${column}, 0) as ${column}`)
          .join(', ')}
                 from generate_series(($2::timestamptz at time zone $4)::date,
                                      ((least($3::timestamptz, billing_now()) - interval '1 microsecond') at time zone $4)::date,
                                      interval '1 day') as d (day)
                 left join (select (at at time zone $4)::date as day, ${sumsOfTransfers}
                              from transfers
                             where team_id = $1 and at >= $2 and at < $3
                             group by 1) as m on m.day = d.day
                order by d.day`,
        values: [teamId, from, to, timezone],
      })
      .catch(refuseUnknownTimezone(timezone));
    let available = BigInt(opening.available);
    let held = BigInt(opening.held);
    return {
      opening: { available, held },
      asOf: new Date(Number(opening.as_of)),
      days: rows.map((row) => {
        available += BigInt(row.available);
        held += BigInt(row.held);
        return {
          day: row.day,
          granted: BigInt(row.granted),
          consumed: BigInt(row.consumed),
          expired: BigInt(row.expired),
          revoked: BigInt(row.revoked),
          settled: BigInt(row.settled),
          available,
          held,
        };
      }),
    };
  });
}
