import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { billing } from './billing.ts';

/**
 * What the page reads about a team. A key is the team, the topic of the event stream that says that the answer changed, and
 * the answer's name.
 */
const pathOf = (teamId: string) => ({ path: { teamId } });
const pageSize = 10;

/** How each list continues: with the cursor of its page before. The first page has none. */
export const byCursor = {
  initialPageParam: '',
  getNextPageParam: ({ nextCursor }: { nextCursor: string | null }) => nextCursor,
};

export const balanceQuery = (teamId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'balance', 'now'],
    queryFn: ({ signal }) => billing.GET('/v1/teams/{teamId}/balance', { params: pathOf(teamId), signal }),
  });

export const forecastQuery = (teamId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'balance', 'forecast'],
    queryFn: ({ signal }) => billing.GET('/v1/teams/{teamId}/forecast', { params: pathOf(teamId), signal }),
  });

export const holdsQuery = (teamId: string) =>
  infiniteQueryOptions({
    queryKey: ['team', teamId, 'balance', 'holds'],
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/holds', {
        params: { ...pathOf(teamId), query: { limit: 50, ...cursorOf(pageParam) } },
        signal,
      }),
  });

/** What the team owes, in the order in which it is settled. */
export const debtsQuery = (teamId: string) =>
  infiniteQueryOptions({
    queryKey: ['team', teamId, 'balance', 'debts'],
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/debts', {
        params: { ...pathOf(teamId), query: { limit: pageSize, ...cursorOf(pageParam) } },
        signal,
      }),
  });

/** All transfers of the team since an instant, newest first. */
export const transfersQuery = (teamId: string, from: string) =>
  infiniteQueryOptions({
    queryKey: ['team', teamId, 'balance', 'transfers', from],
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/ledger', {
        params: { ...pathOf(teamId), query: { from, limit: 100, ...cursorOf(pageParam) } },
        signal,
      }),
  });

export const activityQuery = (teamId: string, timezone: string) =>
  infiniteQueryOptions({
    queryKey: ['team', teamId, 'balance', 'activity', timezone],
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/activity', {
        params: { ...pathOf(teamId), query: { timezone, limit: pageSize, ...cursorOf(pageParam) } },
        signal,
      }),
  });

export const subscriptionQuery = (teamId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'subscription', 'current'],
    queryFn: ({ signal }) =>
      billing.GET('/v1/teams/{teamId}/subscription', { params: pathOf(teamId), signal }),
  });

/** What a change of plan would cost and bring. Always computed anew. */
export const planPreviewQuery = (teamId: string, subscriptionId: string, plan: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'subscription', 'preview', subscriptionId, plan],
    queryFn: ({ signal }) =>
      billing.GET('/v1/teams/{teamId}/subscription/preview', {
        params: { ...pathOf(teamId), query: { plan, subscriptionId } },
        signal,
      }),
    staleTime: 0,
    gcTime: 0,
  });

export const invoicesQuery = (teamId: string) =>
  infiniteQueryOptions({
    queryKey: ['team', teamId, 'invoices', 'list'],
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/invoices', {
        params: { ...pathOf(teamId), query: { limit: pageSize, ...cursorOf(pageParam) } },
        signal,
      }),
  });

export const alertsQuery = (teamId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'balance', 'alerts'],
    queryFn: ({ signal }) => billing.GET('/v1/teams/{teamId}/alerts', { params: pathOf(teamId), signal }),
  });

export const limitsQuery = (teamId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'usage', 'limits'],
    queryFn: ({ signal }) =>
      Array.fromAsync(
        billing.list('/v1/teams/{teamId}/limits', {
          params: { ...pathOf(teamId), query: { limit: 100 } },
          signal,
        }),
      ),
  });

export const membersQuery = (teamId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'members'],
    queryFn: ({ signal }) =>
      Array.fromAsync(
        billing.list('/v1/teams/{teamId}/members', {
          params: { ...pathOf(teamId), query: { limit: 100 } },
          signal,
        }),
      ),
    staleTime: 60_000,
  });

/** Usage of a time, of a member or an API key if they are given. */
export interface UsageFilter {
  from: string;
  to?: string;
  member?: string;
  key?: string;
}

/** What the usage of a time was for, by action. */
export const usageByActionQuery = (teamId: string, filter: UsageFilter) =>
  queryOptions({
    queryKey: ['team', teamId, 'usage', 'by-action', filter],
    queryFn: ({ signal }) =>
      billing.GET('/v1/teams/{teamId}/usage', {
        params: { ...pathOf(teamId), query: { ...filter, groupBy: ['action'] } },
        signal,
      }),
  });

/** What each member has used since an instant. */
export const usageByMemberQuery = (teamId: string, from: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'usage', 'by-member', from],
    queryFn: async ({ signal }) => {
      const { data } = await billing.GET('/v1/teams/{teamId}/usage', {
        params: { ...pathOf(teamId), query: { from, groupBy: ['member'] } },
        signal,
      });
      return new Map(data.map(({ member, credits }) => [member, credits]));
    },
    structuralSharing: false,
  });

/** The calls of an action with their receipts, newest first. */
export const usageEventsQuery = (teamId: string, filter: UsageFilter & { action: string }) =>
  infiniteQueryOptions({
    queryKey: ['team', teamId, 'usage', 'events', filter],
    ...byCursor,
    queryFn: ({ signal, pageParam }) =>
      billing.GET('/v1/teams/{teamId}/usage/events', {
        params: { ...pathOf(teamId), query: { ...filter, limit: pageSize, ...cursorOf(pageParam) } },
        signal,
      }),
  });

/** The usage of the days that the forecast's pace is the average of: `days` times 24 hours until `asOf`. */
export const paceQuery = (teamId: string, days: number, asOf: string) => {
  const from = new Date(Date.parse(asOf) - days * 86_400_000).toISOString();
  return queryOptions({
    queryKey: ['team', teamId, 'usage', 'pace', from, asOf],
    queryFn: ({ signal }) =>
      billing.GET('/v1/teams/{teamId}/usage', {
        params: { ...pathOf(teamId), query: { from, to: asOf, groupBy: ['day'] } },
        signal,
      }),
  });
};

export const catalogQuery = queryOptions({
  queryKey: ['catalog'],
  queryFn: ({ signal }) => billing.GET('/v1/catalog', { signal }),
  staleTime: 300_000,
});

export const checkoutQuery = (teamId: string, checkoutId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'checkout', checkoutId],
    queryFn: ({ signal }) =>
      billing.GET('/v1/teams/{teamId}/checkouts/{checkoutId}', {
        params: { path: { teamId, checkoutId } },
        signal,
      }),
    staleTime: 0,
  });

/** The cursor of a page of a list. The first page has none. */
export function cursorOf(pageParam: string): { cursor?: string } {
  return pageParam === '' ? {} : { cursor: pageParam };
}
