import { QueryClient } from '@tanstack/react-query';

/** The client retries requests itself, so a query that failed has failed. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { retry: false, staleTime: freshMs, refetchOnWindowFocus: true },
      mutations: { retry: false },
    },
  });
}

/** How long an answer counts as fresh when a component mounts. Server-sent events refetch earlier. */
const freshMs = 15_000;
