import type { GrantSource } from '../../database/entities/grant.ts';

/** Ties of expiry are broken in this order. */
const tieOrder: readonly GrantSource[] = ['trial', 'subscription', 'adjustment', 'purchase'];

/** What the burn order looks at. Every grant is one. */
export interface Burnable {
  source: GrantSource;
  businessKey: string;
  effectiveAt: Date;
  /** Null: lifetime. */
  expiresAt: Date | null;
}

/**
 * The order in which credits are used (`burnOrderSql` is the same in SQL): soonest expiry first, lifetime last; ties by source (trial,
 * subscription, adjustment, purchase), then by effective time, then by business key. Total: two different
 * grants never tie, because business keys are unique.
 */
export function compareBurnOrder(a: Burnable, b: Burnable): number {
  return (
    expiry(a) - expiry(b) ||
    tieOrder.indexOf(a.source) - tieOrder.indexOf(b.source) ||
    a.effectiveAt.getTime() - b.effectiveAt.getTime() ||
    (a.businessKey < b.businessKey ? -1 : a.businessKey > b.businessKey ? 1 : 0)
  );
}

/** `Number.MAX_VALUE` rather than infinity, so that two lifetime grants subtract to zero. */
function expiry(grant: Burnable): number {
  return grant.expiresAt?.getTime() ?? Number.MAX_VALUE;
}
