import { queryOptions } from '@tanstack/react-query';
import { billing } from './billing.ts';

/** Keys begin with the team and what changes the answer, so that an event of the team's stream can refetch it. */
export const balanceQuery = (teamId: string) =>
  queryOptions({
    queryKey: ['team', teamId, 'balance'],
    queryFn: ({ signal }) =>
      billing.GET('/v1/teams/{teamId}/balance', { params: { path: { teamId } }, signal }),
  });
