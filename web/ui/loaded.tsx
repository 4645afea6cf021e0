import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Failed } from './failed.tsx';
import { CardSkeleton } from './skeleton.tsx';

/** What a query answered, or its loading or failed state. While it is fetched anew, the old contents stay. */
export function Loaded<T>({
  query,
  lines = 3,
  children,
}: {
  query: UseQueryResult<T>;
  /** The height of the contents in lines of text, for the boxes while it loads. */
  lines?: number;
  children(data: T): ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return <CardSkeleton lines={lines} />;
}
