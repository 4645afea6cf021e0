import type { Pool, PoolClient } from 'pg';
import { grantColumns, sumsOfTransfers } from './closed-months.ts';
import { dayBoundsSql, endedSql, isKnownZoneSql, mostZones, zoneKeptDays } from './usage-days.ts';

/**
 * Sums of a team's transfers by local day, so that a balance history reads days instead of transfers.
 *
 * Transfers are never booked late, so the sums of an ended day never change. Whoever reads such a day from its transfers stores
 * its sums. Stored and other days are read in one snapshot.
 */

type GrantColumn = (typeof grantColumns)[number];

/** What the transfers of a local day changed, in micro-credits. */
export type BalanceDaySums = Record<GrantColumn, bigint> & {
  /** `2026-01-31` in the time zone. */
  day: string;
};

export interface BalanceDays {
  /** The days of the range, oldest first. The sums of the first and the last one are of their part in the range. */
  days: BalanceDaySums[];
  /** Those of them that have ended, lie completely in the range, and are not stored yet. */
  unstored: BalanceDaySums[];
}

interface TimeRange {
  teamId: string;
  timezone: string;
  from: Date;
  /** Exclusive. */
  to: Date;
}

/** Reads the local days of `[from, to)` in a snapshot: stored days, and the transfers of the others. */
export async function readBalanceDays(
  client: PoolClient,
  { teamId, timezone, from, to }: TimeRange,
): Promise<BalanceDays> {
  const { rows } = await client.query<Record<GrantColumn | 'day', string> & { is_unstored: boolean }>({
    name: 'balance-days',
    // A day lies completely in the range if neither the instant before `from` nor `to` belongs to it. The bounds of a day take
    // time, so they are computed only for days that are not stored.
    text: `with range as (
             select ($3::timestamptz at time zone $2)::date as first, (($4::timestamptz - interval '1 millisecond') at time zone $2)::date as last,
                    (($3::timestamptz - interval '1 millisecond') at time zone $2)::date + 1 as first_whole,
                    least(($4::timestamptz at time zone $2)::date, ${endedSql('$2')}) as after_whole
           ), stored as materialized (
             select d.* from balance_days d, range
              where d.team_id = $1 and d.timezone = $2 and d.day >= first_whole and d.day < after_whole
           ), other as materialized (
             select at::date as day, at::date >= first_whole and at::date < after_whole as is_whole
               from range, generate_series(first, last, interval '1 day') as at
              where $3 < $4 and not exists (select from stored s where s.day = at::date)
           )
           select day::text, ${grantColumns.join(', ')}, false as is_unstored from stored
            union all
           select day::text, ${grantColumns.map((column) => `sums.${column}`).join(', ')}, is_whole
             from other
            cross join lateral (select ${dayBoundsSql('day', '$2')} offset 0) as bounds
            cross join lateral (select ${sumsOfTransfers}
                                  from transfers
                                 where team_id = $1 and at >= greatest(start, $3) and at < least(stop, $4)) as sums
            order by day`,
    values: [teamId, timezone, from, to],
  });
  const days = rows.map((row) => ({ isUnstored: row.is_unstored, sums: toSums(row) }));
  return {
    days: days.map(({ sums }) => sums),
    unstored: days.filter(({ isUnstored }) => isUnstored).map(({ sums }) => sums),
  };
}

/** Stores the sums of days that `readBalanceDays` returned as not stored. A new zone of a team with too many zones is left out. */
export async function storeBalanceDays(
  pool: Pool,
  { teamId, timezone }: Pick<TimeRange, 'teamId' | 'timezone'>,
  days: readonly BalanceDaySums[],
): Promise<void> {
  if (days.length === 0) return;
  await pool.query(
    `insert into balance_days (team_id, timezone, day, ${grantColumns.join(', ')})
     select $1, $2, d.*
       from unnest($3::date[], ${grantColumns.map((_, index) => `$${index + 4}::bigint[]`).join(', ')}) as d
      where (select count(distinct timezone) from balance_days where team_id = $1 and timezone <> $2) < ${mostZones}
         on conflict do nothing`,
    [
      teamId,
      timezone,
      days.map(({ day }) => day),
      ...grantColumns.map((column) => days.map((day) => day[column])),
    ],
  );
}

/** Forgets the time zones in which nobody has read the history of the last days, and those that Postgres no longer knows. */
export async function forgetBalanceDays(pool: Pool): Promise<void> {
  await pool.query(
    `with unused as (
       select team_id, timezone from balance_days d
        group by team_id, timezone
       having max(day) < billing_now()::date - ${zoneKeptDays} or not ${isKnownZoneSql('d')}
     )
     delete from balance_days d using unused u where d.team_id = u.team_id and d.timezone = u.timezone`,
  );
}

function toSums(row: Record<GrantColumn | 'day', string>): BalanceDaySums {
  return {
    day: row.day,
    granted: BigInt(row.granted),
    available: BigInt(row.available),
    held: BigInt(row.held),
    consumed: BigInt(row.consumed),
    expired: BigInt(row.expired),
    revoked: BigInt(row.revoked),
    settled: BigInt(row.settled),
  };
}
