import { readCatalogVersion } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import { DomainError } from '../../domain-error.ts';

/** The keys by which usage can be grouped, in the order of a report's columns. */
export const usageKeys = ['day', 'action', 'model', 'member'] as const;
export type UsageKey = (typeof usageKeys)[number];

export interface UsageQuestion {
  teamId: string;
  /** Default: the first of the last 30 days, including today. */
  from?: Date | undefined;
  /** Exclusive. Default: the end of today. */
  to?: Date | undefined;
  groupBy: readonly UsageKey[];
  /** An IANA time zone, which defines the days. */
  timezone: string;
}

export interface UsageReport {
  from: Date;
  to: Date;
  /** Sorted by their keys. Only groups with usage are listed. */
  rows: UsageRow[];
  /** Micro-credits. */
  credits: bigint;
  events: number;
}

export interface UsageRow {
  /**
   * The values of the grouping keys. A day is `2026-01-31`. Null: an action without a model, usage without a member.
   */
  keys: Partial<Record<UsageKey, string | null>>;
  /** Micro-credits. */
  credits: bigint;
  events: number;
}

const dayMs = 86_400_000;
const longestRangeMs = 400 * dayMs;
const mostRows = 50_000;

/**
 * A team's consumption in a time range, by the time when it occurred. Reads only that range.
 * @throws DomainError `unknown_timezone`, `empty_range`, `range_too_long`, `report_too_large`
 */
export async function reportUsage(database: Database, question: UsageQuestion): Promise<UsageReport> {
  const { from, to } = await readRange(database, question);
  const counted = await countUsage(database, question, from, to);
  const rows = await foldModels(database, question.groupBy, counted);
  return {
    from,
    to,
    rows: rows.sort(byKeys),
    credits: rows.reduce((total, { credits }) => total + credits, 0n),
    events: rows.reduce((total, { events }) => total + events, 0),
  };
}

async function readRange(
  database: Database,
  { from, to, timezone }: UsageQuestion,
): Promise<{ from: Date; to: Date }> {
  const { rows } = await database.pool
    .query<{ first: string; last: string }>({
      name: 'last-30-days',
      text: `select extract(epoch from (today - 29)::timestamp at time zone $1) * 1000 as first,
                    extract(epoch from (today + 1)::timestamp at time zone $1) * 1000 as last
               from (select (billing_now() at time zone $1)::date as today) as clock`,
      values: [timezone],
    })
    .catch((error: unknown) => {
      // invalid_parameter_value: Node knows more time zones than this Postgres
      if (Error.isError(error) && 'code' in error && error.code === '22023') throw unknownTimezone(timezone);
      throw error;
    });
  const [clock] = rows;
  if (!clock) throw new Error('a query without a table returned no row');
  const end = to ?? new Date(Number(clock.last));
  // A range with only an end has the default length.
  const start = from ?? (to ? new Date(to.getTime() - 30 * dayMs) : new Date(Number(clock.first)));
  if (start >= end) {
    throw new DomainError('empty_range', 'from must lie before to (default: the end of today)');
  }
  if (end.getTime() - start.getTime() > longestRangeMs) {
    throw new DomainError('range_too_long', 'A report may cover at most 400 days: choose a shorter range', {
      longestDays: longestRangeMs / dayMs,
    });
  }
  return { from: start, to: end };
}

function unknownTimezone(timezone: string): DomainError {
  return new DomainError('unknown_timezone', `${timezone} is not a time zone of the IANA database`);
}

interface Counted {
  day: string | null;
  action: string | null;
  price_version: number | null;
  member: string | null;
  credits: bigint;
  events: number;
}

async function countUsage(
  database: Database,
  { teamId, groupBy, timezone }: UsageQuestion,
  from: Date,
  to: Date,
): Promise<Counted[]> {
  const by = new Set(groupBy);
  // The model of an action in the event's price version.
  const columns = [
    ['day', by.has('day'), `to_char(occurred_at at time zone $4, 'YYYY-MM-DD')`],
    ['action', by.has('action') || by.has('model'), 'action'],
    ['price_version', by.has('model'), 'price_version'],
    ['member', by.has('member'), 'member_id'],
  ] as const;
  const { rows } = await database.pool.query<
    Omit<Counted, 'credits' | 'events'> & { credits: string; events: string }
  >({
    // A range of the primary key (team_id, occurred_at), in the months that it covers.
    text: `select ${columns.map(([name, used, sql]) => `${used ? sql : 'null'} as ${name}`).join(', ')},
                  sum(credits) as credits, count(*) as events
             from usage_events
            where team_id = $1 and occurred_at >= $2 and occurred_at < $3
            group by 1, 2, 3, 4
            limit ${mostRows + 1}`,
    values: [teamId, from, to, ...(by.has('day') ? [timezone] : [])],
  });
  if (rows.length > mostRows) {
    throw new DomainError(
      'report_too_large',
      `This would be more than ${mostRows} rows: choose a shorter range or fewer keys`,
    );
  }
  return rows.map((row) => ({ ...row, credits: BigInt(row.credits), events: Number(row.events) }));
}

/** Merges rows that differ only in keys that were not requested: actions of one model, prices of one action. */
async function foldModels(
  database: Database,
  groupBy: readonly UsageKey[],
  counted: readonly Counted[],
): Promise<UsageRow[]> {
  const models = await readModels(database, groupBy.includes('model') ? counted : []);
  const folded = new Map<string, UsageRow>();
  for (const { credits, events, price_version, ...found } of counted) {
    const values = { ...found, model: models.get(`${price_version} ${found.action}`) ?? null };
    const keys = Object.fromEntries(
      usageKeys.flatMap((key) => (groupBy.includes(key) ? [[key, values[key]]] : [])),
    );
    const known = folded.get(JSON.stringify(keys));
    if (known) {
      known.credits += credits;
      known.events += events;
    } else folded.set(JSON.stringify(keys), { keys, credits, events });
  }
  return [...folded.values()];
}

/** The models of the actions, by `{price version} {action}`. */
async function readModels(database: Database, counted: readonly Counted[]): Promise<Map<string, string>> {
  const models = new Map<string, string>();
  for (const version of new Set(counted.map(({ price_version }) => price_version))) {
    if (version === null) continue;
    const { prices } = await readCatalogVersion(database.fork(), version);
    for (const { action, model } of prices) if (model) models.set(`${version} ${action}`, model);
  }
  return models;
}

function byKeys(a: UsageRow, b: UsageRow): number {
  for (const key of usageKeys) {
    const [one, other] = [a.keys[key] ?? '', b.keys[key] ?? ''];
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}
