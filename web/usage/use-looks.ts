import { useMemo } from 'react';
import type { KeyNames } from './key-names.ts';
import { assignLooks, type Looks, lookCount } from './series-colours.ts';
import type { StackedUsage } from './stack-usage.ts';
import type { GroupKey } from './view-state.ts';

/** The looks that keys have got, by column. They last as long as the page. */
const known = new Map<GroupKey, Looks>();

/**
 * The looks of the keys with bars. If all keys of the column are known and there are enough looks, each key gets its look before
 * any usage is drawn. Then it is the same in every range, after a reload and for a colleague. Otherwise a look lasts as long as the
 * page.
 */
export function useLooks(column: GroupKey, usage: StackedUsage, { keysOf }: KeyNames): Looks {
  return useMemo(() => {
    const all = keysOf(column);
    const shown = usage.series.flatMap(({ key }) => (key === null ? [] : [key]));
    const looks = assignLooks(
      known.get(column) ?? new Map(),
      all.length > lookCount ? shown : [...all, ...shown],
    );
    known.set(column, looks);
    return looks;
  }, [column, usage, keysOf]);
}
