/** Credits that can be drawn on, in burn order. */
export interface Lot {
  id: string;
  /** What can still be drawn, in micro-credits; >= 0. */
  available: bigint;
}

/** What is drawn from one lot, in micro-credits; > 0. */
export interface Draw<L extends Lot> {
  lot: L;
  credits: bigint;
}

export interface Allocation<L extends Lot> {
  draws: Draw<L>[];
  /** What the lots could not cover; 0 when the amount is drawn in full. */
  short: bigint;
}

/**
 * Draws `amount` micro-credits from lots, each as far as it goes before the next is touched. Pure: the lots are
 * not changed. Spending, clawback and settlement all draw through here, so that they agree on whose credits go first.
 *
 * @param lots  in burn order (`compareBurnOrder`), expired ones left out
 */
export function allocate<L extends Lot>(lots: readonly L[], amount: bigint): Allocation<L> {
  const draws: Draw<L>[] = [];
  let short = amount;
  for (const lot of lots) {
    if (short === 0n) break;
    const credits = lot.available < short ? lot.available : short;
    if (credits === 0n) continue;
    draws.push({ lot, credits });
    short -= credits;
  }
  return { draws, short };
}
