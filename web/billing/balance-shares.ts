import type { Schema } from '../data/schema.ts';
import { isZero, toMicroCredits } from '../format/credits.ts';

export type Source = Schema<'GrantSource'>;
/** In the order in which credits are used if they expire at the same time. */
export const sources: readonly Source[] = ['trial', 'subscription', 'adjustment', 'purchase'];

export interface BalanceShare {
  source: Source;
  credits: string;
  /** The length of its part of the bar, in thousandths. All parts together are 1000. */
  thousandths: number;
}

/** The smallest part that can still be seen. */
const leastThousandths = 8;

/** The parts of the balance's bar: each source with credits. A small part is drawn a little longer, so that it can be seen. */
export function balanceShares(bySource: Schema<'CreditsBySource'>): BalanceShare[] {
  const present = sources.filter((source) => !isZero(bySource[source]));
  const total = present.reduce((sum, source) => sum + toMicroCredits(bySource[source]), 0n);
  const shares = present.map((source) => ({
    source,
    credits: bySource[source],
    thousandths: Math.max(leastThousandths, Number((toMicroCredits(bySource[source]) * 1_000n) / total)),
  }));
  // The longest part takes the difference that rounding and the smallest parts make.
  const longest = shares.reduce<BalanceShare | undefined>(
    (best, one) => (best && best.thousandths >= one.thousandths ? best : one),
    undefined,
  );
  if (longest) longest.thousandths += 1_000 - shares.reduce((sum, { thousandths }) => sum + thousandths, 0);
  return shares;
}
