import type { PoolClient } from 'pg';
import { inDaysSql, lateDaysSql, localDaySql, type UsageDimension } from './usage-days.ts';
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
  /** The values of the keys; for a model, the action. */
  values: Map<UsageKey, string | null>;
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
    dimension === null ? { counted: noDays, live: everyDay } : await findDays(client, range);
  const [fromDays, fromEvents] = await Promise.all([
    dimension === null || counted.firsts.length === 0
      ? []
      : sumDays(client, range, dimension, counted, maxGroups + 1),
    live.firsts.length === 0 ? [] : sumEvents(client, range, live, maxGroups + 1),
  ]);
  if (fromDays.length > maxGroups || fromEvents.length > maxGroups) return null;
  return [...fromDays, ...fromEvents];
}

const noDays: Days = { firsts: [], lasts: [] };
const everyDay: Days = { firsts: ['-infinity'], lasts: ['infinity'] };

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
  const columns = columnsFor(
    groupBy,
    (key) => (key === 'day' ? 'd.day::text' : 'd.value'),
    'd.price_version',
  );
  const { rows } = await client.query<GroupRow>(
    `select ${columns.select}, sum(d.credits) as credits, sum(d.events) as events
       from unnest($4::date[], $5::date[]) as counted (first, last)
       join usage_days d on d.team_id = $1 and d.timezone = $2 and d.dimension = $3 and d.day between counted.first and counted.last
      group by ${columns.groupBy}
      limit ${limit}`,
    [teamId, timezone, dimension, days.firsts, days.lasts],
  );
  return rows.map((row) => toGroup(groupBy, row));
}

async function sumEvents(
  client: PoolClient,
  { teamId, from, to, timezone, groupBy, filter }: CountedRange,
  days: Days,
  limit: number,
): Promise<CountedGroup[]> {
  const values: unknown[] = [teamId, from, to, timezone, days.firsts, days.lasts];
  const columns = columnsFor(
    groupBy,
    (key) => (isTag(key) ? tagSql(`$${values.push(key.slice('tag:'.length))}`) : columnOfEvent[key]),
    'e.price_version',
  );
  const { rows } = await client.query<GroupRow>(
    // A range of the primary key (team_id, occurred_at), in the months that it covers.
    `select ${columns.select}, sum(e.credits) as credits, count(*) as events
       from unnest($5::date[], $6::date[]) as live (first, last)
       join usage_events e on e.team_id = $1 and e.occurred_at >= $2 and e.occurred_at < $3
        and ${inDaysSql('live.first', 'live.last', '$4::text')}
            ${filterSql(filter, values)}
      group by ${columns.groupBy}
      limit ${limit}`,
    values,
  );
  return rows.map((row) => toGroup(groupBy, row));
}

const localSql = 'e.occurred_at at time zone $4::text';
const columnOfEvent: Record<Exclude<UsageKey, `tag:${string}`>, string> = {
  day: `${localDaySql('$4::text')}::text`,
  // The local hour and its offset from UTC in minutes: an hour that the clocks repeat is two hours.
  hour: `to_char(${localSql}, 'YYYY-MM-DD"T"HH24') || ' ' || (extract(epoch from (${localSql}) - (e.occurred_at at time zone 'UTC')) / 60)::int`,
  ...eventColumns,
  model: eventColumns.action,
};

/** One column for each key, named by its position, and the price version if models are requested. */
function columnsFor(groupBy: readonly UsageKey[], sqlOf: (key: UsageKey) => string, priceVersion: string) {
  const keys = groupBy.map((key, index) => `${sqlOf(key)} as key_${index}`);
  const select = [...keys, `${groupBy.includes('model') ? priceVersion : 'null::int'} as price_version`];
  return { select: select.join(', '), groupBy: select.map((_, index) => index + 1).join(', ') };
}

type GroupRow = Record<`key_${number}`, string | null> & {
  price_version: number | null;
  credits: string;
  events: string;
};

function toGroup(groupBy: readonly UsageKey[], row: GroupRow): CountedGroup {
  return {
    values: new Map(
      groupBy.map((key, index) => {
        const value = row[`key_${index}`] ?? null;
        return [key, key === 'hour' && value !== null ? formatHour(value) : value];
      }),
    ),
    priceVersion: row.price_version,
    credits: BigInt(row.credits),
    events: Number(row.events),
  };
}

/** `2026-03-29T03 120` is the local hour `2026-03-29T03:00:00+02:00`. */
function formatHour(text: string): string {
  const [hour = '', offset = ''] = text.split(' ');
  const minutes = Math.abs(Number(offset));
  const digits = (value: number) => String(value).padStart(2, '0');
  const sign = Number(offset) < 0 ? '-' : '+';
  return `${hour}:00:00${sign}${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`;
}
