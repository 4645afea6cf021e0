import type { InfiniteData, UseInfiniteQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Loaded } from './loaded.tsx';
import { More } from './more.tsx';

/** The loaded entries of a list, or its loading or failed state, and the button that loads the next page. */
export function LoadedList<T>({
  query,
  lines = 3,
  children,
}: {
  query: UseInfiniteQueryResult<InfiniteData<{ data: T[] }>>;
  /** As for `Loaded`. */
  lines?: number;
  children(entries: T[]): ReactNode;
}) {
  return (
    <>
      <Loaded query={query} lines={lines}>
        {({ pages }) => children(pages.flatMap(({ data }) => data))}
      </Loaded>
      <More query={query} />
    </>
  );
}
