import { readCatalogVersion } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import { readSnapshot } from '../../database/pool-transaction.ts';
import { DomainError } from '../../domain-error.ts';
import { type CountedGroup, type CountedRange, countUsage, dimensionOf } from './count-usage.ts';
import { checkReportRange } from './report-range.ts';
import { refuseUnknownTimezone } from './unknown-timezone.ts';
import { countUsageDays, endedSql } from './usage-days.ts';
import type { UsageFilter } from './usage-filter.ts';
import { columnsOf, type UsageKey } from './usage-keys.ts';

export interface UsageQuestion {
  teamId: string;
  /** Default: the first of the last 30 days, including today. */
  from?: Date | undefined;
  /** Exclusive. Default: the end of today. */
  to?: Date | undefined;
  groupBy: readonly UsageKey[];
  /** Default: all usage. */
  filter?: UsageFilter;
  /** An IANA time zone, which defines days and hours. */
  timezone: string;
}

export interface UsageReport {
  from: Date;
  to: Date;
  /** The keys, each once, in the order of the rows' values. */
  columns: UsageKey[];
  /** Sorted by their keys. Only groups with usage are listed. */
  rows: UsageRow[];
  /** Micro-credits. */
  credits: bigint;
  events: number;
}

export interface UsageRow {
  /**
   * The values of the columns. A day is `2026-01-31`, an hour `2026-01-31T09:00:00+01:00`. Null: an action without a
   * model, usage that names no member, key or run, or has no such tag.
   */
  keys: (string | null)[];
  /** Micro-credits. */
  credits: bigint;
  events: number;
}

const dayMs = 86_400_000;
const maxRows = 50_000;
/** Several groups can become one row: a group has an action and a price version, and its row only their model. */
const maxGroups = 2 * maxRows;
/** If the maintenance is so far behind, a report counts the days itself. */
const mostDaysBehind = 2;

/**
 * A team's consumption in a time range, by the time when it occurred. Counted days are read from their sums, other days
 * from their events, in one snapshot. The first report in a time zone counts its days.
 * @throws DomainError `unknown_timezone`, `empty_range`, `range_too_long`, `report_too_large`
 */
export async function reportUsage(database: Database, question: UsageQuestion): Promise<UsageReport> {
  const { teamId, timezone, filter = {} } = question;
  const columns = columnsOf(question.groupBy);
  const clock = await readTimes(database, teamId, timezone);
  const { from, to } = rangeOf(question, clock);
  const range: CountedRange = { teamId, from, to, timezone, groupBy: columns, filter };
  if (dimensionOf(range) !== null) await prepareDays(database, range, clock);
  const groups = await readSnapshot(database.pool, (client) => countUsage(client, range, maxGroups));
  const rows = groups && (await foldGroups(database, columns, groups));
  if (!rows || rows.length > maxRows) {
    throw new DomainError(
      'report_too_large',
      `This would be more than ${maxRows} rows: choose a shorter range or fewer keys`,
    );
  }
  return {
    from,
    to,
    columns,
    rows,
    credits: rows.reduce((total, { credits }) => total + credits, 0n),
    events: rows.reduce((total, { events }) => total + events, 0),
  };
}

interface Times {
  /** The default range: the last 30 days with today, in the time zone. */
  first: Date;
  last: Date;
  /** How many ended days are not counted in this time zone; null if none has been counted yet. */
  daysBehind: number | null;
  usedToday: boolean;
}

async function readTimes({ pool }: Database, teamId: string, timezone: string): Promise<Times> {
  const { rows } = await pool
    .query<{ first: string; last: string; behind: number | null; used_today: boolean | null }>({
      name: 'report-times',
      text: `select extract(epoch from (today - 29)::timestamp at time zone $1) * 1000 as first,
                    extract(epoch from (today + 1)::timestamp at time zone $1) * 1000 as last,
                    ${endedSql('$1')} - z.next_day as behind,
                    z.used_at > clock.now - interval '1 day' as used_today
               from (select now, (now at time zone $1)::date as today from billing_now() as now) as clock
               left join usage_zones z on z.team_id = $2 and z.timezone = $1`,
      values: [timezone, teamId],
    })
    .catch(refuseUnknownTimezone(timezone));
  const [row] = rows;
  if (!row) throw new Error('the clock was not read');
  return {
    first: new Date(Number(row.first)),
    last: new Date(Number(row.last)),
    daysBehind: row.behind,
    usedToday: row.used_today === true,
  };
}

function rangeOf({ from, to }: UsageQuestion, { first, last }: Times): { from: Date; to: Date } {
  const end = to ?? last;
  // A range with only an end has the default length.
  const start = from ?? (to ? new Date(to.getTime() - 30 * dayMs) : first);
  checkReportRange(start, end);
  return { from: start, to: end };
}

/** Counts the days of a time zone that is new to the team, or far behind, and records once a day that it is in use. */
async function prepareDays(
  { pool }: Database,
  { teamId, timezone }: CountedRange,
  { daysBehind, usedToday }: Times,
): Promise<void> {
  if (daysBehind === null || daysBehind > mostDaysBehind) await countUsageDays(pool, teamId, timezone);
  else if (!usedToday)
    await pool.query(
      'update usage_zones set used_at = billing_now() where team_id = $1 and timezone = $2 and used_at < billing_now()',
      [teamId, timezone],
    );
}

/** Replaces actions by models where requested, sorts the groups by their keys, and merges groups with the same keys. */
async function foldGroups(
  database: Database,
  columns: readonly UsageKey[],
  groups: readonly CountedGroup[],
): Promise<UsageRow[]> {
  const modelColumn = columns.indexOf('model');
  if (modelColumn >= 0) {
    const models = await readModels(database, groups);
    for (const { values, priceVersion } of groups) {
      values[modelColumn] = models.get(`${priceVersion} ${values[modelColumn]}`) ?? null;
    }
  }
  const byKeys = compareKeys(columns);
  const rows: UsageRow[] = [];
  // Stored sums come in the order of their index, so sorting them takes little time.
  for (const { values, credits, events } of groups.toSorted((a, b) => byKeys(a.values, b.values))) {
    const previous = rows.at(-1);
    if (previous && byKeys(previous.keys, values) === 0) {
      previous.credits += credits;
      previous.events += events;
    } else rows.push({ keys: values, credits, events });
  }
  return rows;
}

type Keys = readonly (string | null)[];

/** The order of rows: by their keys, those without a value first, hours by time. */
function compareKeys(columns: readonly UsageKey[]): (a: Keys, b: Keys) => number {
  const hourColumn = columns.indexOf('hour');
  return (a, b) => {
    for (let column = 0; column < columns.length; column += 1) {
      const [one, other] = [a[column] ?? null, b[column] ?? null];
      if (one === other) continue;
      if (one === null || other === null) return one === null ? -1 : 1;
      const hours = column === hourColumn ? Date.parse(one) - Date.parse(other) : 0;
      return hours || (one < other ? -1 : 1);
    }
    return 0;
  };
}

/** The models of the actions, by `{price version} {action}`. */
async function readModels(database: Database, groups: readonly CountedGroup[]): Promise<Map<string, string>> {
  const models = new Map<string, string>();
  for (const version of new Set(groups.map(({ priceVersion }) => priceVersion))) {
    if (version === null) continue;
    const { prices } = await readCatalogVersion(database.fork(), version);
    for (const { action, model } of prices) if (model) models.set(`${version} ${action}`, model);
  }
  return models;
}
