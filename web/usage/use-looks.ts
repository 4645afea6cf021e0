import { useMemo } from 'react';
import { assignLooks, type Looks } from './series-colours.ts';
import type { StackedUsage } from './stack-usage.ts';
import type { GroupKey } from './view-state.ts';

/** The looks that keys have got, by column. They last as long as the page, so a key keeps its colour in every range. */
const known = new Map<GroupKey, Looks>();

export function useLooks(column: GroupKey, usage: StackedUsage): Looks {
  return useMemo(() => {
    const keys = usage.series.flatMap(({ key }) => (key === null ? [] : [key]));
    const looks = assignLooks(known.get(column) ?? new Map(), keys);
    known.set(column, looks);
    return looks;
  }, [column, usage]);
}
