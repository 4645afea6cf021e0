import type { PoolClient } from 'pg';
import type { Database } from '../../database/connection.ts';
import { readSnapshot } from '../../database/pool-transaction.ts';
import { readBalanceDays, storeBalanceDays } from './balance-days.ts';
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

/**
 * The balance at the end of each local day in `[from, to)`, and what changed it. It reads the sums of the closed months before the
 * range, then sums of local days. Days that it reads from their transfers are stored for the next time. Credits that have
 * expired are subtracted on the day when their expiry is booked.
 * @throws DomainError `empty_range`, `range_too_long`, `unknown_timezone`
 */
export async function readBalanceHistory(
  { pool }: Database,
  { teamId, from, to, timezone }: { teamId: string; from: Date; to: Date; timezone: string },
): Promise<BalanceHistory> {
  checkReportRange(from, to);
  const zone = { teamId, timezone };
  const { opening, before, within, asOf } = await readSnapshot(pool, async (client) => {
    const opening = await readClosedMonths(client, teamId, from);
    const end = new Date(Math.min(to.getTime(), opening.asOf.getTime() + 1));
    const [before, within] = await Promise.all([
      readBalanceDays(client, { ...zone, from: opening.upTo, to: from }),
      readBalanceDays(client, { ...zone, from, to: end }),
    ]).catch(refuseUnknownTimezone(timezone));
    return { opening, before, within, asOf: opening.asOf };
  });
  await storeBalanceDays(pool, zone, [...before.unstored, ...within.unstored]);
  let { available, held } = opening;
  for (const day of before.days) {
    available += day.available;
    held += day.held;
  }
  return {
    opening: { available, held },
    asOf,
    days: within.days.map((day) => {
      available += day.available;
      held += day.held;
      return { ...day, available, held };
    }),
  };
}

/** A team's balance at the end of the last closed month before `from`, and the end of that month. */
async function readClosedMonths(
  client: PoolClient,
  teamId: string,
  from: Date,
): Promise<{ available: bigint; held: bigint; upTo: Date; asOf: Date }> {
  const { rows } = await client.query<Record<'available' | 'held' | 'up_to' | 'as_of', string>>({
    name: 'balance-of-closed-months',
    // If no month is closed, the history begins with the team.
    text: `with closed as materialized (
             select max((month + interval '1 month') at time zone 'UTC') as up_to
               from closed_months
              where (month + interval '1 month') at time zone 'UTC' <= $2
           )
           select coalesce(sum(m.available), 0) as available, coalesce(sum(m.held), 0) as held,
                  extract(epoch from coalesce((select up_to from closed), (select created_at from teams where id = $1), $2)) * 1000 as up_to,
                  extract(epoch from billing_now()) * 1000 as as_of
             from grant_months m
            where m.team_id = $1 and m.month < (select up_to from closed) at time zone 'UTC'`,
    values: [teamId, from],
  });
  const [row] = rows;
  if (!row) throw new Error('the sums of the closed months were not read');
  return {
    available: BigInt(row.available),
    held: BigInt(row.held),
    upTo: new Date(Number(row.up_to)),
    asOf: new Date(Number(row.as_of)),
  };
}
