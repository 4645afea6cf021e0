import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { catalogQuery, membersQuery } from '../data/team-queries.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { Translate } from '../i18n/text.ts';
import type { UsageSeries } from './stack-usage.ts';
import { columns, type GroupKey } from './view-state.ts';

/** How keys of a column are called: members by their name, actions by that of the catalog, others as they are. */
export interface KeyNames {
  /** The names of members and actions are still loaded. */
  isPending: boolean;
  nameOf(column: GroupKey, key: string | null): string;
  seriesName(column: GroupKey, series: Pick<UsageSeries, 'key' | 'isOther'>): string;
  /** The keys of a column that are known without usage, always in the same order: the catalog's models and actions, the members. */
  keysOf(column: GroupKey): readonly string[];
}

export function useKeyNames(teamId: string): KeyNames {
  const { t } = useLanguage();
  const { data: members, isPending: membersPending } = useQuery(membersQuery(teamId));
  const { data: catalog, isPending: catalogPending } = useQuery(catalogQuery);
  const prices = catalog?.prices;
  const isPending = membersPending || catalogPending;
  return useMemo(() => {
    const people = new Map(members?.map(({ userId, name }) => [userId, name]));
    const actions = new Map(prices?.map(({ action, name }) => [action, name]));
    const nameOf = (column: GroupKey, key: string | null): string => {
      if (key === null) return t(noneTexts[column] ?? 'usage.none.tag');
      if (column === 'member') return people.get(key) ?? key;
      if (column === 'action') return actions.get(key) ?? key;
      return key;
    };
    return {
      isPending,
      nameOf,
      seriesName: (column, { key, isOther }) => (isOther ? t('usage.other') : nameOf(column, key)),
      keysOf: (column) => {
        if (column === 'model') return prices?.flatMap(({ model }) => model ?? []) ?? [];
        if (column === 'action') return [...actions.keys()];
        return column === 'member' ? [...people.keys()].sort() : [];
      },
    };
  }, [t, members, prices, isPending]);
}

/** How a column is called. */
export function columnName(column: GroupKey, t: Translate): string {
  const known = columns.find((one) => one === column);
  return known ? t(`usage.column.${known}`) : t('usage.tag', { name: column.slice('tag:'.length) });
}

const noneTexts: Partial<
  Record<GroupKey, 'usage.none.model' | 'usage.none.member' | 'usage.none.key' | 'usage.none.run'>
> = {
  model: 'usage.none.model',
  member: 'usage.none.member',
  key: 'usage.none.key',
  run: 'usage.none.run',
};
