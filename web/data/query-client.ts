import { QueryCache, QueryClient } from '@tanstack/react-query';
import { BillingProblem } from '../../client/index.ts';
import { teamsQuery } from './teams.ts';

/**
 * The client retries requests itself, so a query that failed has failed. If a session ends, the teams are read again, and the page
 * says that nobody is signed in.
 */
export function createQueryClient(): QueryClient {
  const queryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, { queryKey }) => {
        const isSignedOut = error instanceof BillingProblem && error.code === 'unauthenticated';
        if (isSignedOut && queryKey[0] !== teamsQuery.queryKey[0])
          void queryClient.resetQueries({ queryKey: teamsQuery.queryKey });
      },
    }),
    defaultOptions: {
      // Offline a request fails at once and says so, instead of waiting.
      queries: { retry: false, staleTime: freshMs, refetchOnWindowFocus: true, networkMode: 'always' },
      mutations: { retry: false, networkMode: 'always' },
    },
  });
  return queryClient;
}

/** How long an answer counts as fresh when a component mounts. Server-sent events refetch earlier. */
const freshMs = 15_000;
