/** Credits that can be drawn, in burn order. */
export interface Lot {
  id: string;
  /** The micro-credits that can still be drawn; >= 0. */
  available: bigint;
}

/** The micro-credits drawn from one lot; > 0. */
export interface Draw<L extends Lot> {
  lot: L;
  credits: bigint;
}

export interface Allocation<L extends Lot> {
  draws: Draw<L>[];
  /** The amount that the lots did not cover; 0 if everything was drawn. */
  short: bigint;
}

/**
 * Draws `amount` micro-credits from lots; each lot is used up before the next. Pure: the lots are not changed.
 * Spending, clawback and settlement all use this, so they use the same order.
 *
 * @param lots  in burn order (`compareBurnOrder`), without expired ones
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
