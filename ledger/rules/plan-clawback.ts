import { allocate, type Draw } from './allocate.ts';
import { type Burnable, compareBurnOrder } from './burn-order.ts';

/** A grant as far as taking it back goes. Micro-credits. */
export interface ClawbackGrant extends Burnable {
  id: string;
  granted: bigint;
  available: bigint;
  expired: bigint;
  revoked: bigint;
  /** The part of `revoked` that an adjustment took: it counts as use, so a clawback takes as much again. */
  adjusted: bigint;
  /**
   * The part of `revoked` that was given up: by an adjustment that names the order, or with a deleted team. It counts as
   * taken back, and no reversal gives it back.
   */
  writtenOff: bigint;
}

export interface ClawbackPlan {
  /** `available → revoked`. */
  revoke: Draw<ClawbackGrant>[];
  /** `revoked → available`, where a reversal or a won dispute lowered the target. */
  restore: Draw<ClawbackGrant>[];
  /** What is owed in all because it was spent or is held; what was settled of it is included. */
  owed: bigint;
}

/**
 * What to revoke, restore and owe so that a clawback stands at its cumulative target. Depends only on how things stand, not on
 * how many events led there: planned again, it changes nothing. What has expired counts first, it is gone already; what other
 * grants have settled stays settled while the target needs it.
 *
 * @param grants  all that an order, or a cycle of a subscription, was granted
 * @param target  micro-credits that must be gone of them, in all
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
