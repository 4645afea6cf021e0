import type { Pool, PoolClient } from 'pg';
import { inPoolTransaction } from '../../database/pool-transaction.ts';
import { runEach } from '../../database/run-each.ts';

/**
 * Sums of a team's usage by local day, so that a report over a year reads days instead of events.
 *
 * - A day is counted two hours after its end. A day that has not been counted is read from its events.
 * - Days are counted again from their events if a late event arrives. They are never added to.
 * - Reports read days and events in one snapshot, and read the days of uncounted late events from the events.
 */

/** The groupings of which the sums are stored. Those of actions are also per price version, which decides the model. */
export type UsageDimension = 'action' | 'member' | 'key';

/** Reports cover at most this time, so older days are not counted at first. */
const firstDays = 400;
/** Days per transaction, so that each is short, however much a team uses. */
const daysAtOnce = 31;
/** More time zones of a team than these are read from the events or transfers. */
export const mostZones = 12;
/** A time zone that nobody has used for so long is forgotten. */
export const zoneKeptDays = 60;
/** A transaction is shorter than this, so an event that it commits after its day was counted is late. */
const lateAfter = `interval '1 hour'`;
/** A day is counted this long after its end. */
const countedAfter = `interval '2 hours'`;
/** At a change of the clocks, the first or last hours of a local day lie outside the usual bounds. */
const dayMargin = `interval '3 hours'`;

/** SQL for the local date after the last ended day, which can be counted now. @param timezone  SQL for the zone's name */
export function endedSql(timezone: string): string {
  return `((billing_now() - ${countedAfter}) at time zone ${timezone})::date`;
}

/** SQL for the local date of an event. */
export function localDaySql(timezone: string): string {
  return `(e.occurred_at at time zone ${timezone})::date`;
}

/**
 * SQL columns `start` (inclusive) and `stop` (exclusive) of a local day. A day may be shorter or longer than 24 hours and
 * may begin at another time than midnight, so it starts with the first quarter of an hour that has its date. (Since 1972
 * clocks have been changed only at quarters of an hour.) An index scan between these instants is several times as fast as
 * computing the local date of each event.
 * @param day  SQL for the day
 */
export function dayBoundsSql(day: string, timezone: string): string {
  const first = (date: string) => `
    (select min(at) from generate_series((${date})::timestamp at time zone ${timezone} - ${dayMargin},
                                         (${date})::timestamp at time zone ${timezone} + ${dayMargin}, interval '15 minutes') as at
      where (at at time zone ${timezone})::date >= ${date})`;
  return `${first(day)} as start, ${first(`${day} + 1`)} as stop`;
}

/**
 * SQL for bounds of `occurred_at` that contain each event `e` of a range of local days, and some events of other days.
 * With parameters as days, Postgres plans only the months between them.
 * @param first, last  SQL for the first and last day
 */
function monthsSql(first: string, last: string, timezone: string): string {
  return `e.occurred_at >= (${first})::timestamp at time zone ${timezone} - ${dayMargin}
          and e.occurred_at < (${last} + 1)::timestamp at time zone ${timezone} + ${dayMargin}`;
}

/**
 * SQL: whether Postgres knows a zone. An update of the operating system may remove an old name, such as US/Pacific, and a
 * single such row would fail each statement that computes days of all zones.
 */
export function isKnownZoneSql(zone: string): string {
  return `lower(${zone}.timezone) in (select lower(name) from pg_timezone_names)`;
}

/** SQL for the local days of late events that were recorded since a zone's days were counted, as a multirange. */
export function lateDaysSql(zone: string): string {
  return `(select coalesce(range_agg(daterange(late.day, late.day + 1)), '{}')
             from (select ${localDaySql(`${zone}.timezone`)} as day
                     from usage_events e
                    where e.team_id = ${zone}.team_id and e.recorded_at - e.occurred_at > ${lateAfter}
                      and e.recorded_at >= ${zone}.counted_at - ${lateAfter}) as late)`;
}

/**
 * SQL columns and grouping of the sums of events `e` by local day and value.
 * @param day  SQL for the local day of `e`
 */
export function daySums(day: string): { columns: string; groupBy: string } {
  return {
    columns: `case when grouping(e.action) = 0 then 'action' when grouping(e.member_id) = 0 then 'member' else 'key' end as dimension,
              ${day} as day,
              case when grouping(e.action) = 0 then e.action when grouping(e.member_id) = 0 then e.member_id else e.api_key_id end as value,
              e.price_version, sum(e.credits)::bigint as credits, count(*) as events`,
    groupBy: `grouping sets ((${day}, e.action, e.price_version), (${day}, e.member_id), (${day}, e.api_key_id))`,
  };
}

/** SQL rows of the stored sums of `usage_days d`, with the columns of `daySums` from `value` on. */
export const storedSumsSql =
  'unnest(d.values, d.price_versions, d.credits, d.events) as s (value, price_version, credits, events)';

/**
 * Counts the ended days of a team in a time zone, and again those with late events. A few weeks per transaction: if it
 * is interrupted, the next call continues. A new zone of a team with too many zones is left out.
 */
export async function countUsageDays(pool: Pool, teamId: string, timezone: string): Promise<void> {
  await pool.query(
    `insert into usage_zones (team_id, timezone, first_day, next_day, counted_at, used_at)
     select $1, $2, ${endedSql('$2')} - ${firstDays}, ${endedSql('$2')} - ${firstDays}, now, now
       from billing_now() as now
      where (select count(*) from usage_zones where team_id = $1) < ${mostZones}
         on conflict do nothing`,
    [teamId, timezone],
  );
  while (await countNextDays(pool, teamId, timezone));
}

/**
 * Counts the ended days of all zones in use, and forgets zones that are unused or that Postgres no longer knows.
 * @returns how many zones had days to count
 * @throws Error as `runEach`, after the days of all other zones are counted
 */
export async function countAllUsageDays(pool: Pool): Promise<number> {
  await pool.query(
    `with unused as (
       delete from usage_zones z
        where used_at < billing_now() - make_interval(days => ${zoneKeptDays}) or not ${isKnownZoneSql('z')}
       returning team_id, timezone
     )
     delete from usage_days d using unused u where d.team_id = u.team_id and d.timezone = u.timezone`,
  );
  const { rows } = await pool.query<{ team_id: string; timezone: string }>(
    `select team_id, timezone from usage_zones z
      where next_day < ${endedSql('z.timezone')} or not isempty(${lateDaysSql('z')} * datemultirange(daterange(first_day, next_day)))
      order by team_id, timezone`,
  );
  await runEach(rows, ({ team_id, timezone }) => countUsageDays(pool, team_id, timezone));
  return rows.length;
}

/** @returns whether more days can be counted */
async function countNextDays(pool: Pool, teamId: string, timezone: string): Promise<boolean> {
  return inPoolTransaction(pool, (client) => countWithLock(client, teamId, timezone));
}

async function countWithLock(client: PoolClient, teamId: string, timezone: string): Promise<boolean> {
  // The zone's row is the lock of its days. The statement after it sees what the previous holder has counted.
  await client.query('select from usage_zones where team_id = $1 and timezone = $2 for update', [
    teamId,
    timezone,
  ]);
  const { rows } = await client.query<{
    now: string;
    until: string;
    more: boolean;
    firsts: string[];
    lasts: string[];
  }>(
    `select clock.now::text as now, until::text, until < ended as more,
            array(select lower(d)::text from unnest(due) as d) as firsts,
            array(select (upper(d) - 1)::text from unnest(due) as d) as lasts
       from billing_now() as clock (now)
       join usage_zones z on z.team_id = $1 and z.timezone = $2
      cross join lateral (select ${endedSql('z.timezone')} as ended) as e
      cross join lateral (select least(ended, z.next_day + ${daysAtOnce}) as until) as u
      cross join lateral (select ${lateDaysSql('z')} * datemultirange(daterange(z.first_day, z.next_day))
                                 + datemultirange(daterange(z.next_day, greatest(until, z.next_day))) as due) as d`,
    [teamId, timezone],
  );
  const [due] = rows;
  if (!due) return false;
  const values = [teamId, timezone, due.firsts, due.lasts];
  await client.query(
    `delete from usage_days d using unnest($3::date[], $4::date[]) as due (first, last)
      where d.team_id = $1 and d.timezone = $2 and d.day between due.first and due.last`,
    values,
  );
  if (due.firsts.length > 0) {
    const sums = daySums('l.day');
    const inOrder = (column: string) => `array_agg(${column} order by value, price_version)`;
    await client.query(
      `insert into usage_days (team_id, timezone, dimension, day, values, price_versions, credits, events)
       select $1, $2, dimension, day, ${['value', 'price_version', 'credits', 'events'].map(inOrder).join(', ')}
         from (select ${sums.columns}
                 from unnest($3::date[], $4::date[]) as due (first, last)
                cross join lateral generate_series(due.first, due.last, interval '1 day') as days (at)
                cross join lateral (select days.at::date as day, ${dayBoundsSql('days.at::date', '$2')} offset 0) as l
                cross join lateral (select e.action, e.price_version, e.member_id, e.api_key_id, e.credits
                                      from usage_events e
                                     where e.team_id = $1 and e.occurred_at >= l.start and e.occurred_at < l.stop
                                       and ${monthsSql('$5::date', '$6::date', '$2')}
                                    offset 0) as e
                group by ${sums.groupBy}) as sums
        group by dimension, day`,
      [...values, due.firsts[0], due.lasts.at(-1)],
    );
  }
  await client.query(
    `update usage_zones set next_day = greatest(next_day, $3::date), counted_at = $4 where team_id = $1 and timezone = $2`,
    [teamId, timezone, due.until, due.now],
  );
  return due.more;
}
