import { allocate, type Lot } from './allocate.ts';
import type { Move } from './move.ts';
import type { Expiring } from './spendable.ts';

/** A debt that is not settled. */
export interface OpenDebt {
  key: string;
  /** Micro-credits that are owed and not settled; > 0. */
  outstanding: bigint;
  /** Whether lifetime credits may settle it: a pack's debt yes, a subscription's never. */
  lifetime: boolean;
}

/** What settles a debt, in whole or in part. */
export interface Settlement {
  key: string;
  /** Micro-credits that `moves` come to. */
  settled: bigint;
  moves: Move[];
}

/**
 * Pays debts, one after the other, each from the credits that burn first: `available → settled`. Depends only on how things
 * stand: planned again after its moves, it moves nothing.
 *
 * @param debts  in the order in which they are paid, the oldest first
 * @param payers  the team's spendable grants in burn order; the first ones suffice if they cover all debts together
 */
export function planSettlement(
  debts: readonly OpenDebt[],
  payers: readonly (Lot & Expiring)[],
): Settlement[] {
  let lots = payers.map(({ id, available, expiresAt }) => ({ id, available, expiresAt }));
  return debts.map(({ key, outstanding, lifetime }) => {
    const usable = lifetime ? lots : lots.filter(({ expiresAt }) => expiresAt !== null);
    const { draws, short } = allocate(usable, outstanding);
    const drawn = new Map(draws.map(({ lot, credits }) => [lot.id, credits]));
    lots = lots.map((lot) => ({ ...lot, available: lot.available - (drawn.get(lot.id) ?? 0n) }));
    const move = { kind: 'settle', from: 'available', to: 'settled', reference: settlementOf(key) } as const;
    const moves = draws.map(({ lot, credits }) => ({ grantId: lot.id, ...move, amount: credits }));
    return { key, settled: outstanding - short, moves };
  });
}

/** What a grant has paid of a debt. Micro-credits. */
export interface Payment {
  grantId: string;
  credits: bigint;
}

/**
 * Gives back what a debt that has become smaller no longer needs: `settled → available`.
 *
 * @param payments  of this debt, what burns last first: the reverse of the order in which they were taken
 * @throws Error if the payments do not come to `amount`
 */
export function planReturn(key: string, payments: readonly Payment[], amount: bigint): Move[] {
  const lots = payments.map(({ grantId, credits }) => ({ id: grantId, available: credits }));
  const { draws, short } = allocate(lots, amount);
  if (short > 0n) throw new Error(`the debt ${key} was settled by ${amount - short}, not by ${amount}`);
  const move = { kind: 'settle', from: 'settled', to: 'available', reference: settlementOf(key) } as const;
  return draws.map(({ lot, credits }) => ({ grantId: lot.id, ...move, amount: credits }));
}

/** What the transfers that settle a debt refer to. */
function settlementOf(key: string): string {
  return `debt:${key}`;
}
