import { allocate, type Burnable, compareBurnOrder } from './burn-order.ts';
import type { Move } from './grant.ts';

/** The fields of a grant that a clawback uses. Micro-credits. */
export interface ClawbackGrant extends Burnable {
  id: string;
  granted: bigint;
  available: bigint;
  expired: bigint;
  revoked: bigint;
  /** The part of `revoked` that an adjustment took. It counts as use, so a clawback takes its full amount as well. */
  adjusted: bigint;
  /**
   * The part of `revoked` that was given up, by an adjustment that names the order or with a deleted team. It counts
   * as taken back, and no reversal gives it back.
   */
  writtenOff: bigint;
}

export interface ClawbackPlan {
  /** `available → revoked`; or `revoked → available`, if a reversal or a won dispute lowered the target. */
  moves: Move[];
  /** The total debt, because credits were spent or are held. Includes what was settled. */
  owed: bigint;
}

/**
 * Plans what to revoke, restore and owe so that a clawback is at its cumulative target. It depends only on the current
 * state, not on the number of events before, so planning again changes nothing. Expired credits count first, because
 * they are already gone. What other grants have settled stays settled while the target requires it.
 *
 * @param debtKey  the key of its debt, the reference of its moves
 * @param grants  all grants of a pack's order or of a subscription's cycle
 * @param target  the total of micro-credits that must be taken back
 * @param settled  micro-credits of their debt that other grants have paid
 */
export function planClawback(
  debtKey: string,
  grants: readonly ClawbackGrant[],
  target: bigint,
  settled: bigint,
): ClawbackPlan {
  const revoked = sum(grants, clawedBack);
  const inBurnOrder = [...grants].sort(compareBurnOrder);

  if (revoked > target) {
    const lots = inBurnOrder.reverse().map((grant) => ({ id: grant.id, available: clawedBack(grant) }));
    const moves = allocate(lots, revoked - target).draws.map(({ lot, credits }) => {
      return move(debtKey, lot.id, 'revoked', 'available', credits);
    });
    return { moves, owed: 0n };
  }
  const kept = settled < target - revoked ? settled : target - revoked;
  const counted = revoked + kept + sum(grants, ({ expired, writtenOff }) => expired + writtenOff);
  const missing = target > counted ? target - counted : 0n;
  const { draws, short } = allocate(inBurnOrder, missing);
  const moves = draws.map(({ lot, credits }) => move(debtKey, lot.id, 'available', 'revoked', credits));
  return { moves, owed: kept + short };
}

/**
 * The total that must be taken back from an order's credits: floor(granted × reversed / paid); everything if it is
 * fully reversed; nothing for an order that cost nothing.
 *
 * @param granted  micro-credits that the order granted
 * @param paid  the paid money of the order, in the currency's minor units
 * @param reversed  the part of it that was refunded or is disputed; more than `paid` counts as `paid`
 */
export function clawbackTarget(granted: bigint, paid: bigint, reversed: bigint): bigint {
  if (paid <= 0n || reversed <= 0n) return 0n;
  if (reversed >= paid) return granted;
  return (granted * reversed) / paid;
}

/** Micro-credits of a grant that clawbacks took. */
export function clawedBack({ revoked, adjusted, writtenOff }: ClawbackGrant): bigint {
  return revoked - adjusted - writtenOff;
}

function move(
  reference: string,
  grantId: string,
  from: 'available' | 'revoked',
  to: 'available' | 'revoked',
  amount: bigint,
): Move {
  return { grantId, kind: 'clawback', from, to, amount, reference };
}

function sum(grants: readonly ClawbackGrant[], of: (grant: ClawbackGrant) => bigint): bigint {
  return grants.reduce((total, grant) => total + of(grant), 0n);
}
