import type { InfiniteData, UseInfiniteQueryResult } from '@tanstack/react-query';
import { useLanguage } from '../i18n/language.tsx';
import { Button } from './button.tsx';

/** The button that loads the next page of a list, if there is one. */
export function More<T>({ query }: { query: UseInfiniteQueryResult<InfiniteData<T>> }) {
  const { t } = useLanguage();
  if (!query.hasNextPage) return null;
  return (
    <div className="mt-3">
      <Button look="quiet" isPending={query.isFetchingNextPage} onPress={() => void query.fetchNextPage()}>
        {t('state.more')}
      </Button>
    </div>
  );
}
