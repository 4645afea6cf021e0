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

/** `Number.MAX_VALUE` instead of infinity, so that the difference of two lifetime grants is zero. */
function expiry(grant: Burnable): number {
  return grant.expiresAt?.getTime() ?? Number.MAX_VALUE;
}
