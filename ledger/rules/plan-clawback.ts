import { allocate, type Draw } from './allocate.ts';
import { type Burnable, compareBurnOrder } from './burn-order.ts';

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
  /** `available → revoked`. */
  revoke: Draw<ClawbackGrant>[];
  /** `revoked → available`, if a reversal or a won dispute lowered the target. */
  restore: Draw<ClawbackGrant>[];
  /** The total debt, because credits were spent or are held. Includes what was settled. */
  owed: bigint;
}

/**
 * Plans what to revoke, restore and owe so that a clawback is at its cumulative target. It depends only on the current
 * state, not on the number of events before, so planning again changes nothing. Expired credits count first, because
 * they are already gone. What other grants have settled stays settled while the target requires it.
 *
 * @param grants  all grants of a pack's order or of a subscription's cycle
 * @param target  the total of micro-credits that must be taken back
 * @param settled  micro-credits of their debt that other grants have paid
 */
export function planClawback(
  grants: readonly ClawbackGrant[],
  target: bigint,
  settled: bigint,
): ClawbackPlan {
  const revoked = sum(grants, clawedBack);
  const inBurnOrder = [...grants].sort(compareBurnOrder);

  if (revoked > target) {
    const byId = new Map(grants.map((grant) => [grant.id, grant]));
    const lots = inBurnOrder.reverse().map((grant) => ({ ...grant, available: clawedBack(grant) }));
    const restore = allocate(lots, revoked - target).draws.map(({ lot, credits }) => {
      const grant = byId.get(lot.id);
      if (!grant) throw new Error(`a draw names the grant ${lot.id}, which is not among the grants`);
      return { lot: grant, credits };
    });
    return { revoke: [], restore, owed: 0n };
  }
  const kept = settled < target - revoked ? settled : target - revoked;
  const counted = revoked + kept + sum(grants, ({ expired, writtenOff }) => expired + writtenOff);
  const missing = target > counted ? target - counted : 0n;
  const { draws, short } = allocate(inBurnOrder, missing);
  return { revoke: draws, restore: [], owed: kept + short };
}

/** Micro-credits of a grant that clawbacks took. */
export function clawedBack({ revoked, adjusted, writtenOff }: ClawbackGrant): bigint {
  return revoked - adjusted - writtenOff;
}

function sum(grants: readonly ClawbackGrant[], of: (grant: ClawbackGrant) => bigint): bigint {
  return grants.reduce((total, grant) => total + of(grant), 0n);
}
