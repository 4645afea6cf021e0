import { allocate, type Lot } from './burn-order.ts';
import type { Expiring, Move } from './grant.ts';

/** A debt that is not completely settled. */
export interface OpenDebt {
  key: string;
  /** Micro-credits that are owed and not settled; > 0. */
  outstanding: bigint;
  /** Whether lifetime credits may settle it: true for a pack's debt, false for a cycle's. */
  lifetime: boolean;
}

/** The settlement of a debt, in whole or in part. */
export interface Settlement {
  key: string;
  /** The sum of `moves`, in micro-credits. */
  settled: bigint;
  moves: Move[];
}

/**
 * Settles debts one after another in burn order: `available → settled`. It depends only on the current state, so
 * planning again after its moves moves nothing.
 *
 * @param debts  in the order in which they are settled, oldest first
 * @param payers  the team's spendable grants in burn order; the first ones are enough if they cover all debts together
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

/** The amount that a grant has paid of a debt. Micro-credits. */
export interface Payment {
  grantId: string;
  credits: bigint;
}

/**
 * Gives back what a smaller debt no longer needs: `settled → available`.
 *
 * @param payments  of this debt, last in burn order first: the reverse of the order in which they were taken
 * @throws Error if the sum of the payments is less than `amount`
 */
export function planReturn(key: string, payments: readonly Payment[], amount: bigint): Move[] {
  const lots = payments.map(({ grantId, credits }) => ({ id: grantId, available: credits }));
  const { draws, short } = allocate(lots, amount);
  if (short > 0n) throw new Error(`the debt ${key} was settled by ${amount - short}, not by ${amount}`);
  const move = { kind: 'settle', from: 'settled', to: 'available', reference: settlementOf(key) } as const;
  return draws.map(({ lot, credits }) => ({ grantId: lot.id, ...move, amount: credits }));
}

/** The reference of the transfers that settle a debt. */
function settlementOf(key: string): string {
  return `debt:${key}`;
}
