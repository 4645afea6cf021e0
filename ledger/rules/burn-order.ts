import type { GrantSource } from '../../database/entities/grant.ts';

/** Ties of expiry are broken in this order. */
const tieOrder: readonly GrantSource[] = ['trial', 'subscription', 'adjustment', 'purchase'];

/** The fields that decide the burn order. Every grant has them. */
export interface Burnable {
  source: GrantSource;
  businessKey: string;
  effectiveAt: Date;
  /** Null: lifetime. */
  expiresAt: Date | null;
}

/**
 * The order in which credits are used (`burnOrderSql` is the same in SQL): soonest expiry first, lifetime last; then
 * by source (trial, subscription, adjustment, purchase), then by effective time, then by business key. The order is
 * total, because business keys are unique.
 */
export function compareBurnOrder(a: Burnable, b: Burnable): number {
  return (
    expiry(a) - expiry(b) ||
    tieOrder.indexOf(a.source) - tieOrder.indexOf(b.source) ||
    a.effectiveAt.getTime() - b.effectiveAt.getTime() ||
    (a.businessKey < b.businessKey ? -1 : a.businessKey > b.businessKey ? 1 : 0)
  );
}

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

/** `Number.MAX_VALUE` instead of infinity, so that the difference of two lifetime grants is zero. */
function expiry(grant: Burnable): number {
  return grant.expiresAt?.getTime() ?? Number.MAX_VALUE;
}
