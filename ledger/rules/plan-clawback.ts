import { allocate, type Draw } from './allocate.ts';
import { type Burnable, compareBurnOrder } from './burn-order.ts';

/** A grant that an order paid for, as far as clawing it back goes. Micro-credits. */
export interface ClawbackGrant extends Burnable {
  id: string;
  granted: bigint;
  available: bigint;
  expired: bigint;
  /** By clawbacks; what was revoked by hand is none of theirs. */
  revoked: bigint;
}

export interface ClawbackPlan {
  /** What the order's refunds and disputes un-paid in all, cumulative. */
  target: bigint;
  /** `available → revoked`. */
  revoke: Draw<ClawbackGrant>[];
  /** `revoked → available`, where a reversal or a won dispute lowered the target. */
  restore: Draw<ClawbackGrant>[];
  /** What is owed in all because it was spent or is held; what was settled of it is in here. */
  owed: bigint;
}

/**
 * How many of an order's credits must go, in all: floor(granted × unpaid / paid); everything once it is fully
 * un-paid; nothing for an order that cost nothing.
 *
 * @param granted  micro-credits of all the order's grants
 * @param paid  what the order was paid with, in the currency's minor units
 * @param unpaid  what was refunded or is disputed of that; more than `paid` counts as `paid`
 */
export function clawbackTarget(granted: bigint, paid: bigint, unpaid: bigint): bigint {
  if (paid <= 0n || unpaid <= 0n) return 0n;
  if (unpaid >= paid) return granted;
  return (granted * unpaid) / paid;
}

/**
 * What to revoke, restore and owe so that an order's clawback stands at its cumulative target. Depends only on how
 * things stand, not on how many events led there: planned again, it changes nothing. What has expired counts first, it
 * is gone already; what other grants have settled stays settled while the target needs it.
 *
 * @param settled  micro-credits of the order's debt that other grants have paid
 */
export function planClawback(
  grants: readonly ClawbackGrant[],
  paid: bigint,
  unpaid: bigint,
  settled = 0n,
): ClawbackPlan {
  const target = clawbackTarget(sum(grants, 'granted'), paid, unpaid);
  const revoked = sum(grants, 'revoked');
  const inBurnOrder = [...grants].sort(compareBurnOrder);

  if (revoked > target) {
    const lots = inBurnOrder.reverse().map((grant) => ({ ...grant, available: grant.revoked }));
    const byId = new Map(grants.map((grant) => [grant.id, grant]));
    const restore = allocate(lots, revoked - target).draws.flatMap(({ lot, credits }) => {
      const grant = byId.get(lot.id);
      return grant ? [{ lot: grant, credits }] : [];
    });
    return { target, revoke: [], restore, owed: 0n };
  }
  const kept = settled < target - revoked ? settled : target - revoked;
  const counted = revoked + sum(grants, 'expired') + kept;
  const missing = target > counted ? target - counted : 0n;
  const { draws, short } = allocate(inBurnOrder, missing);
  return { target, revoke: draws, restore: [], owed: kept + short };
}

function sum(grants: readonly ClawbackGrant[], column: 'granted' | 'expired' | 'revoked'): bigint {
  return grants.reduce((total, grant) => total + grant[column], 0n);
}
