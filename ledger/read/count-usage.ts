import type { PoolClient } from 'pg';
import { dayBoundsSql, lateDaysSql, storedSumsSql, type UsageDimension } from './usage-days.ts';
import { eventColumns, filterSql, tagSql, type UsageFilter } from './usage-filter.ts';
import { isTag, type UsageKey } from './usage-keys.ts';

/** What is counted: a team's usage in a time range. */
export interface CountedRange {
  teamId: string;
  from: Date;
  /** Exclusive. */
  to: Date;
  /** An IANA time zone, which defines days and hours. */
  timezone: string;
  groupBy: readonly UsageKey[];
  filter: UsageFilter;
}

/** The sum of a group of events. */
export interface CountedGroup {
  /** The values of the keys, in their order; for a model, the action. */
  values: (string | null)[];
  /** Null unless models are requested: the model of an action depends on it. */
  priceVersion: number | null;
  /** Micro-credits. */
  credits: bigint;
  events: number;
}

/** Ranges of counted local days, with their first and last day as `2026-01-31`. */
interface CountedDays {
  firsts: string[];
  lasts: string[];
}

/** Local days that must be read from the events: the part of each between two instants, as text. */
interface LiveDays {
  days: string[];
  starts: string[];
  stops: string[];
}

/** The grouping whose sums by day are stored; null if the events must be read. */
export function dimensionOf({
  groupBy,
  filter,
}: Pick<CountedRange, 'groupBy' | 'filter'>): UsageDimension | null {
  if (Object.values(filter).some((value) => value !== undefined)) return null;
  const keys = groupBy.filter((key) => key !== 'day');
  if (keys.every((key) => key === 'action' || key === 'model')) return 'action';
  const [only, ...others] = keys;
  return others.length === 0 && (only === 'member' || only === 'key') ? only : null;
}

/**
 * Counts usage by its keys: counted days from `usage_days`, all other days from the events. Must be called in one
 * snapshot. A group may be returned several times: its parts add up.
 * @param maxGroups  the maximum number of groups of counted days, and of all other days
 * @returns null if there are more groups: some of them would be missing from the sums
 */
export async function countUsage(
  client: PoolClient,
  range: CountedRange,
  maxGroups: number,
): Promise<CountedGroup[] | null> {
  const dimension = dimensionOf(range);
  if (dimension === null) {
    const groups = await sumEvents(client, range, null, maxGroups + 1);
    return groups.length > maxGroups ? null : groups;
  }
  const { counted, live } = await findDays(client, range);
  const [fromDays, fromEvents] = await Promise.all([
    sumDays(client, range, dimension, counted, maxGroups + 1),
    live.days.length === 0 ? [] : sumEvents(client, range, live, maxGroups + 1),
  ]);
  if (fromDays.length > maxGroups || fromEvents.length > maxGroups) return null;
  return [...fromDays, ...fromEvents];
}

/** Which days of the range are counted completely, and which must be read from the events. */
async function findDays(
  client: PoolClient,
  { teamId, from, to, timezone }: CountedRange,
): Promise<{ counted: CountedDays; live: LiveDays }> {
  const { rows } = await client.query<CountedDays & LiveDays>({
    name: 'usage-days-of-range',
    // A day lies completely in the range if neither the instant before `from` nor `to` belongs to it.
    text: `with range as (
             select daterange(($3::timestamptz at time zone $2)::date, (($4::timestamptz - interval '1 millisecond') at time zone $2)::date, '[]') as all_days,
                    (($3::timestamptz - interval '1 millisecond') at time zone $2)::date + 1 as first_whole,
                    ($4::timestamptz at time zone $2)::date as after_whole
           ), days as materialized (
             select datemultirange(range.all_days) as all_days,
                    case when z.team_id is null then '{}'
                         else datemultirange(daterange(greatest(first_whole, z.first_day), greatest(first_whole, z.first_day, least(after_whole, z.next_day))))
                              - ${lateDaysSql('z')}
                     end as counted
               from range
               left join usage_zones z on z.team_id = $1 and z.timezone = $2
           )
           select array(select lower(d)::text from unnest(counted) as d) as firsts,
                  array(select (upper(d) - 1)::text from unnest(counted) as d) as lasts,
                  live.*
             from days
            cross join lateral (select coalesce(array_agg(day::text), '{}') as days,
                                       coalesce(array_agg(greatest(l.start, $3)::text), '{}') as starts,
                                       coalesce(array_agg(least(l.stop, $4)::text), '{}') as stops
                                  from unnest(all_days - counted) as d
                                 cross join lateral generate_series(lower(d), upper(d) - 1, interval '1 day') as midnights (at)
                                 cross join lateral (select at::date as day) as local
                                 cross join lateral (select ${dayBoundsSql('day', '$2')} offset 0) as l) as live`,
    values: [teamId, timezone, from, to],
  });
  const [found] = rows;
  if (!found) throw new Error('the days of a range were not read');
  const { firsts, lasts, ...live } = found;
  return { counted: { firsts, lasts }, live };
}

/** Reads counted days: as they are stored, or summed over the days or over the values. */
async function sumDays(
  client: PoolClient,
  { teamId, timezone, groupBy }: CountedRange,
  dimension: UsageDimension,
  { firsts, lasts }: CountedDays,
  limit: number,
): Promise<CountedGroup[]> {
  if (firsts.length === 0) return [];
  const values = [teamId, timezone, dimension, firsts, lasts];
  const days = `
    from unnest($4::date[], $5::date[]) as counted (first, last)
    join usage_days d on d.team_id = $1 and d.timezone = $2 and d.dimension = $3 and d.day between counted.first and counted.last`;
  if (groupBy.includes('day') && groupBy.length > 1) {
    const list = (column: string) => `array_to_string(d.${column}, ',') as ${column}`;
    const { rows } = await client.query<StoredDay>(
      `select d.day::text, array_to_json(d.values) as values, ${list('credits')}, ${list('events')},
              ${groupBy.includes('model') ? list('price_versions') : 'null as price_versions'}
         from (select d.*, sum(cardinality(d.values)) over (order by d.day) - cardinality(d.values) as earlier ${days}) as d
        where d.earlier < ${limit}
        order by d.day`,
      values,
    );
    return rows.flatMap((row) => groupsOfDay(groupBy, row));
  }
  const ofDay = (column: string) => `sum((select sum(one) from unnest(d.${column}) as one))`;
  const onlyDays = groupBy.every((key) => key === 'day');
  return readGroups(client, {
    groupBy,
    keys: groupBy.map((key) => ({ groups: [key === 'day' ? 'd.day' : 's.value'] })),
    credits: onlyDays ? ofDay('credits') : 'sum(s.credits)',
    events: onlyDays ? ofDay('events') : 'sum(s.events)',
    priceVersion: 's.price_version',
    source: onlyDays ? days : `${days} cross join lateral ${storedSumsSql}`,
    limit,
    values,
  });
}

/** A row of `usage_days`. Numbers are separated by commas. */
interface StoredDay {
  day: string;
  values: (string | null)[];
  /** Null unless models are requested. */
  price_versions: string | null;
  credits: string;
  events: string;
}

function groupsOfDay(groupBy: readonly UsageKey[], row: StoredDay): CountedGroup[] {
  const versions = row.price_versions?.split(',');
  const credits = row.credits.split(',');
  const events = row.events.split(',');
  const isComplete = [credits, events, versions ?? credits].every(
    ({ length }) => length === row.values.length,
  );
  if (!isComplete) throw new Error(`the stored sums of ${row.day} have arrays of different lengths`);
  return credits.map((amount, index) => ({
    values: groupBy.map((key) => (key === 'day' ? row.day : (row.values[index] ?? null))),
    priceVersion: versions ? Number(versions[index]) : null,
    credits: BigInt(amount),
    events: Number(events[index]),
  }));
}

/** @param days  null: the whole range */
async function sumEvents(
  client: PoolClient,
  { teamId, from, to, timezone, groupBy, filter }: CountedRange,
  days: LiveDays | null,
  limit: number,
): Promise<CountedGroup[]> {
  const values: unknown[] = [teamId];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  // A range of the primary key (team_id, occurred_at), in the months that it covers.
  const events = (start: string, stop: string, columns = '') => `
    (select e.*${columns} from usage_events e
      where e.team_id = $1 and e.occurred_at >= ${start} and e.occurred_at < ${stop} ${filterSql(filter, values)}
     offset 0) as e`;
  const source =
    days === null
      ? // The local time of an event is computed once (`offset 0`), because it costs more than its sums.
        `from ${events(parameter(from), parameter(to), `, e.occurred_at at time zone ${parameter(timezone)}::text as local`)}`
      : `from unnest(${parameter(days.days)}::date[], ${parameter(days.starts)}::timestamptz[], ${parameter(days.stops)}::timestamptz[])
              as live (day, start, stop)
         cross join lateral ${events('live.start', 'live.stop')}`;
  const keyOf = (key: UsageKey): KeySql => {
    if (isTag(key)) return { groups: [tagSql(parameter(key.slice('tag:'.length)))] };
    return key === 'day' && days !== null ? { groups: ['live.day'] } : columnOfEvent[key];
  };
  return readGroups(client, {
    groupBy,
    keys: groupBy.map(keyOf),
    credits: 'sum(e.credits)',
    events: 'count(*)',
    priceVersion: 'e.price_version',
    source,
    limit,
    values,
  });
}

/** The SQL columns by which a key groups, and the text of its value. Default: their own. */
interface KeySql {
  groups: string[];
  text?: (groups: string[]) => string;
}

const columnOfEvent: Record<Exclude<UsageKey, `tag:${string}`>, KeySql> = {
  day: { groups: ['e.local::date'] },
  // The local hour and its offset from UTC: an hour that the clocks repeat is two hours.
  hour: {
    groups: [`date_trunc('hour', e.local)`, `e.local - (e.occurred_at at time zone 'UTC')`],
    text: ([hour, offset]) =>
      `to_char(${hour}, 'YYYY-MM-DD"T"HH24') || ' ' || (extract(epoch from ${offset}) / 60)::int`,
  },
  action: { groups: [eventColumns.action] },
  model: { groups: [eventColumns.action] },
  member: { groups: [eventColumns.member] },
  key: { groups: [eventColumns.key] },
  run: { groups: [eventColumns.run] },
};

/** What is grouped, in SQL. */
interface Groups {
  groupBy: readonly UsageKey[];
  keys: readonly KeySql[];
  /** Only read if models are requested. */
  priceVersion: string;
  credits: string;
  events: string;
  /** `from … where …` */
  source: string;
  limit: number;
  values: unknown[];
}

/** Reads all groups in one JSON text, as one array per column: several times as fast as a row per group. */
async function readGroups(
  client: PoolClient,
  { groupBy, keys, priceVersion, credits, events, source, limit, values }: Groups,
): Promise<CountedGroup[]> {
  const columns = keys.flatMap(({ groups }, key) =>
    groups.map((sql, part) => ({ sql, name: `key_${key}_${part}` })),
  );
  const hasVersions = groupBy.includes('model');
  if (hasVersions) columns.push({ sql: priceVersion, name: 'price_version' });
  const texts = keys.map(({ groups, text = ([only = '']) => only }, key) =>
    text(groups.map((_, part) => `key_${key}_${part}`)),
  );
  // Credits are text, because a JSON number is exact only up to 2^53.
  const column = (sql: string) => `array_to_json(array_agg(${sql}))`;
  const { rows } = await client.query<{ groups: string }>(
    `select json_build_object('keys', json_build_array(${texts.map(column).join(', ')}), 'versions', ${hasVersions ? column('price_version') : "'[]'::json"},
                              'credits', ${column('credits::text')}, 'events', ${column('events')})::text as groups
       from (select ${columns.map(({ sql, name }) => `${sql} as ${name}`).join(', ')},
                    (${credits})::bigint as credits, (${events})::bigint as events
             ${source}
             group by ${columns.map((_, index) => index + 1).join(', ')}
             limit ${limit}) as groups`,
    values,
  );
  const read: GroupColumns = JSON.parse(rows[0]?.groups ?? '{}');
  return (read.credits ?? []).map((amount, index) => ({
    values: groupBy.map((key, column) => {
      const value = read.keys[column]?.[index] ?? null;
      return key === 'hour' && value !== null ? formatHour(value) : value;
    }),
    priceVersion: read.versions[index] ?? null,
    credits: BigInt(amount),
    events: read.events[index] ?? 0,
  }));
}

/** The columns of groups; null if there are none. */
interface GroupColumns {
  keys: (string | null)[][];
  versions: (number | null)[];
  credits: string[] | null;
  events: number[];
}

/** `2026-03-29T03 120` is the local hour `2026-03-29T03:00:00+02:00`. */
function formatHour(text: string): string {
  const [hour = '', offset = ''] = text.split(' ');
  const minutes = Math.abs(Number(offset));
  const digits = (value: number) => String(value).padStart(2, '0');
  const sign = Number(offset) < 0 ? '-' : '+';
  return `${hour}:00:00${sign}${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`;
}
