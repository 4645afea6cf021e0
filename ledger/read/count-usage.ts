import type { PoolClient } from 'pg';
import { boundsSql, lateDaysSql, type UsageDimension } from './usage-days.ts';
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

/** Local days, both included, as `2026-01-31`. */
interface Days {
  firsts: string[];
  lasts: string[];
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
  const { counted, live } =
    dimension === null ? { counted: noDays, live: 'all' as const } : await findDays(client, range);
  const [fromDays, fromEvents] = await Promise.all([
    dimension === null || counted.firsts.length === 0
      ? []
      : sumDays(client, range, dimension, counted, maxGroups + 1),
    live !== 'all' && live.firsts.length === 0 ? [] : sumEvents(client, range, live, maxGroups + 1),
  ]);
  if (fromDays.length > maxGroups || fromEvents.length > maxGroups) return null;
  return [...fromDays, ...fromEvents];
}

const noDays: Days = { firsts: [], lasts: [] };

/** Which days of the range are counted completely, and which must be read from the events. */
async function findDays(
  client: PoolClient,
  { teamId, from, to, timezone }: CountedRange,
): Promise<{ counted: Days; live: Days }> {
  const { rows } = await client.query<{
    counted_firsts: string[];
    counted_lasts: string[];
    live_firsts: string[];
    live_lasts: string[];
  }>({
    name: 'usage-days-of-range',
    // A day lies completely in the range if neither the instant before `from` nor `to` belongs to it.
    text: `with range as (
             select daterange(($3::timestamptz at time zone $2)::date, (($4::timestamptz - interval '1 millisecond') at time zone $2)::date, '[]') as all_days,
                    (($3::timestamptz - interval '1 millisecond') at time zone $2)::date + 1 as first_whole,
                    ($4::timestamptz at time zone $2)::date as after_whole
           ), days as (
             select datemultirange(range.all_days) as all_days,
                    case when z.team_id is null then '{}'
                         else datemultirange(daterange(greatest(first_whole, z.first_day), greatest(first_whole, z.first_day, least(after_whole, z.next_day))))
                              - ${lateDaysSql('z')}
                     end as counted
               from range
               left join usage_zones z on z.team_id = $1 and z.timezone = $2
           )
           select array(select lower(d)::text from unnest(counted) as d) as counted_firsts,
                  array(select (upper(d) - 1)::text from unnest(counted) as d) as counted_lasts,
                  array(select lower(d)::text from unnest(all_days - counted) as d) as live_firsts,
                  array(select (upper(d) - 1)::text from unnest(all_days - counted) as d) as live_lasts
             from days`,
    values: [teamId, timezone, from, to],
  });
  const [found] = rows;
  if (!found) throw new Error('the days of a range were not read');
  return {
    counted: { firsts: found.counted_firsts, lasts: found.counted_lasts },
    live: { firsts: found.live_firsts, lasts: found.live_lasts },
  };
}

async function sumDays(
  client: PoolClient,
  { teamId, timezone, groupBy }: CountedRange,
  dimension: UsageDimension,
  days: Days,
  limit: number,
): Promise<CountedGroup[]> {
  const keys = groupBy.map((key) => ({ groups: [key === 'day' ? 'd.day' : 'd.value'] }));
  const values = [teamId, timezone, dimension, days.firsts, days.lasts];
  const source = `
    from unnest($4::date[], $5::date[]) as counted (first, last)
    join usage_days d on d.team_id = $1 and d.timezone = $2 and d.dimension = $3 and d.day between counted.first and counted.last`;
  // Stored sums are by day and value, so a report by both reads them as they are.
  const isGrouped = !(groupBy.includes('day') && groupBy.length > 1);
  const sums = isGrouped
    ? { credits: 'sum(d.credits)', events: 'sum(d.events)' }
    : { credits: 'd.credits', events: 'd.events' };
  return readGroups(client, {
    groupBy,
    keys,
    ...sums,
    priceVersion: 'd.price_version',
    source,
    isGrouped,
    limit,
    values,
  });
}

async function sumEvents(
  client: PoolClient,
  { teamId, from, to, timezone, groupBy, filter }: CountedRange,
  days: Days | 'all',
  limit: number,
): Promise<CountedGroup[]> {
  const values: unknown[] = [teamId, from, to, timezone];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const keys = groupBy.map((key) =>
    isTag(key) ? { groups: [tagSql(parameter(key.slice('tag:'.length)))] } : columnOfEvent[key],
  );
  // A range of the primary key (team_id, occurred_at), in the months that it covers. The local time of an event is computed
  // once (`offset 0`), because it costs more than its sums.
  const events = (bounds: string) => `
    (select e.*, e.occurred_at at time zone $4::text as local from usage_events e
      where e.team_id = $1 and e.occurred_at >= $2 and e.occurred_at < $3 ${bounds}
            ${filterSql(filter, values)}
     offset 0) as e`;
  const sums = { credits: 'sum(e.credits)', events: 'count(*)', priceVersion: 'e.price_version' };
  const groups = { groupBy, keys, ...sums, isGrouped: true, limit, values };
  if (days === 'all') return readGroups(client, { ...groups, source: `from ${events('')}` });
  const [firsts, lasts] = [parameter(days.firsts), parameter(days.lasts)];
  const [first, last] = [parameter(days.firsts[0]), parameter(days.lasts.at(-1))];
  const source = `
    from unnest(${firsts}::date[], ${lasts}::date[]) as live (first, last)
   cross join lateral ${events(`and ${boundsSql(`${first}::date`, `${last}::date`, '$4::text')}
                                and ${boundsSql('live.first', 'live.last', '$4::text')}`)}
   where e.local::date between live.first and live.last`;
  return readGroups(client, { ...groups, source });
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
  /** False: each row of the source is a group. Several of them may have the same keys. */
  isGrouped: boolean;
  limit: number;
  values: unknown[];
}

/** Reads all groups in one JSON text, as one array per column: several times as fast as a row per group. */
async function readGroups(
  client: PoolClient,
  { groupBy, keys, priceVersion, credits, events, source, isGrouped, limit, values }: Groups,
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
             ${isGrouped ? `group by ${columns.map((_, index) => index + 1).join(', ')}` : ''}
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
