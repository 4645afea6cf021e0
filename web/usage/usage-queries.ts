import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import type { Schema } from '../data/schema.ts';
import { byCursor, cursorOf } from '../data/team-queries.ts';
import { toMicroCredits } from '../format/credits.ts';
import { type BurnDownDay, burnDownDays } from './burn-down.ts';
import { type LocalDay, listDays } from './local-days.ts';
import { type DayRange, partOfDay } from './range.ts';
import { type StackedUsage, stackUsage } from './stack-usage.ts';
import { type Filters, filterQuery, type GroupKey, type ReceiptPlace, withoutFilter } from './view-state.ts';

export type UsageEvent = Schema<'UsageEvent'>;

/** What a report covers. */
export interface ReportScope {
  range: DayRange;
  zone: string;
  groupBy: GroupKey;
  filters: Filters;
}

/** A report with its scope, so that an older one can be shown while the next is loaded. */
export interface Report extends Omit<ReportScope, 'filters'> {
  usage: StackedUsage;
}

/** Keys begin with the team and the topic of its event stream that says that the answer changed. */
const usageKey = (teamId: string, ...rest: readonly unknown[]) => ['team', teamId, 'usage', ...rest];
const iso = (instant: number) => new Date(instant).toISOString();
const isoPeriod = ({ from, to }: { from: number; to: number }) => ({ from: iso(from), to: iso(to) });
const callsPerPage = 25;

/**
 * Usage by day and one column. The filter on this column is applied on the page, because the list of keys shows all keys to
 * choose from; the API applies the others.
 */
export const reportQuery = (teamId: string, scope: ReportScope) => {
  const { range, zone, groupBy, filters } = scope;
  const query = {
    ...isoPeriod(range),
    groupBy: ['day', groupBy],
    timezone: zone,
    ...filterQuery(withoutFilter(filters, groupBy)),
  };
  return queryOptions({
    queryKey: usageKey(teamId, 'report', query),
    queryFn: async ({ signal }): Promise<Report> => {
      const { data } = await billing.GET('/v1/teams/{teamId}/usage', {
        params: { path: { teamId }, query },
        signal,
      });
      const cells = data.map((row) => ({
        day: row.day ?? '',
        key: textOf(row[groupBy]),
        credits: toMicroCredits(row.credits),
        events: row.events,
      }));
      return { range, zone, groupBy, usage: stackUsage(listDays(range.first, range.last), cells) };
    },
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
};

/** The sum of the period before, in micro-credits; null if there is no such period. */
export const periodBeforeQuery = (
  teamId: string,
  period: { from: number; to: number } | null,
  { zone, filters }: { zone: string; filters: Filters },
) => {
  const query = period && {
    ...isoPeriod(period),
    groupBy: ['day'],
    timezone: zone,
    ...filterQuery(filters),
  };
  return queryOptions({
    queryKey: usageKey(teamId, 'before', query),
    queryFn: async ({ signal }) => {
      if (!query) return null;
      const { total } = await billing.GET('/v1/teams/{teamId}/usage', {
        params: { path: { teamId }, query },
        signal,
      });
      return toMicroCredits(total.credits);
    },
    structuralSharing: false,
  });
};

/** The calls of a local day, newest first. */
export const callsQuery = (
  teamId: string,
  { day, range, zone, filters }: { day: LocalDay; range: DayRange; zone: string; filters: Filters },
) => {
  const query = {
    ...isoPeriod(partOfDay(day, range, zone)),
    limit: callsPerPage,
    ...filterQuery(filters),
  };
  return infiniteQueryOptions({
    queryKey: usageKey(teamId, 'calls', query),
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/usage/events', {
        params: { path: { teamId }, query: { ...query, ...cursorOf(pageParam) } },
        signal,
      }),
  });
};

/** One call with its receipt; null if there is none at this place. */
export const receiptQuery = (teamId: string, { id, at }: ReceiptPlace) =>
  queryOptions({
    queryKey: usageKey(teamId, 'receipt', id, at),
    queryFn: async ({ signal }): Promise<UsageEvent | null> => {
      const query = { from: at, to: iso(Date.parse(at) + 1), limit: 100 };
      const calls = billing.list('/v1/teams/{teamId}/usage/events', {
        params: { path: { teamId }, query },
        signal,
      });
      for await (const call of calls) if (call.id === id) return call;
      return null;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });

export const runQuery = (teamId: string, runId: string) =>
  infiniteQueryOptions({
    queryKey: usageKey(teamId, 'run', runId),
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/runs/{runId}', {
        params: { path: { teamId, runId }, query: { limit: callsPerPage, ...cursorOf(pageParam) } },
        signal,
      }),
  });

/** The names of the tags of the last calls: those to choose from. */
export const tagNamesQuery = (teamId: string) =>
  queryOptions({
    queryKey: usageKey(teamId, 'tag-names'),
    queryFn: async ({ signal }) => {
      const { data } = await billing.GET('/v1/teams/{teamId}/usage/events', {
        params: { path: { teamId }, query: { limit: 100 } },
        signal,
      });
      return [...new Set(data.flatMap(({ tags }) => Object.keys(tags)))].sort();
    },
    staleTime: 300_000,
  });

/** The balance at the end of each day that has begun, and what changed it. It has its range and zone, as a report has. */
export interface BalanceHistory {
  range: DayRange;
  zone: string;
  /** Before the first day, in micro-credits. */
  opening: bigint;
  days: BurnDownDay[];
}

export const balanceHistoryQuery = (teamId: string, range: DayRange, zone: string) => {
  const query = { ...isoPeriod(range), timezone: zone };
  return queryOptions({
    queryKey: ['team', teamId, 'balance', 'history', query],
    queryFn: async ({ signal }): Promise<BalanceHistory> => {
      const { opening, data } = await billing.GET('/v1/teams/{teamId}/balance/history', {
        params: { path: { teamId }, query },
        signal,
      });
      const balance = toMicroCredits(opening.available) + toMicroCredits(opening.held);
      return { range, zone, opening: balance, days: burnDownDays(data) };
    },
    placeholderData: keepPreviousData,
  });
};

/** What changed the balance on a day of a range, other than usage. */
export const changesQuery = (
  teamId: string,
  { day, range, zone }: { day: LocalDay; range: DayRange; zone: string },
) => {
  const query = {
    ...isoPeriod(partOfDay(day, range, zone)),
    limit: 100,
    kind: ['grant', 'expire', 'reinstate', 'clawback', 'settle', 'adjust', 'forfeit'] as const,
  };
  return queryOptions({
    queryKey: ['team', teamId, 'balance', 'changes', query],
    queryFn: ({ signal }) =>
      Array.fromAsync(
        billing.list('/v1/teams/{teamId}/ledger', {
          params: { path: { teamId }, query: { ...query, kind: [...query.kind] } },
          signal,
        }),
      ),
  });
};

/** The address of the CSV file with exactly the figures that are shown. */
export function csvAddress(teamId: string, { range, zone, groupBy, filters }: ReportScope): string {
  const query = new URLSearchParams({
    ...isoPeriod(range),
    groupBy: `day,${groupBy}`,
    timezone: zone,
    ...filterQuery(filters),
    format: 'csv',
  });
  return `/v1/teams/${encodeURIComponent(teamId)}/usage?${query}`;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
