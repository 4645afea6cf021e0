import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** What we know of a Polar order: what it paid and what of that was un-paid since. Money in the currency's minor units. */
export const Order = defineEntity({
  name: 'Order',
  tableName: 'orders',
  properties: {
    id: p.text().primary(),
    teamId: p.uuid(),
    /** Null while only a refund of it was heard of. */
    paidAt: p.datetime().strictNullable(),
    product: p.text().strictNullable(),
    subscriptionId: p.text().strictNullable(),
    currency: p.text().strictNullable(),
    /** `net_amount + applied_balance_amount` of Polar's order. */
    paidAmount: p.bigint(),
    /** Refunded so far, cumulative, without tax. */
    refundedAmount: p.bigint(),
    /** In open or lost disputes and not already refunded. */
    disputedAmount: p.bigint(),
    /** For a paid cycle: its period, the allotment that it pays for, and whether that drips monthly. */
    periodStart: p.datetime().strictNullable(),
    periodEnd: p.datetime().strictNullable(),
    allotment: p.bigint().strictNullable(),
    dripsMonthly: p.boolean(),
    /** The catalog version that the allotment was read from. */
    catalogVersion: p.integer().strictNullable(),
    /** Polar's time of this state; an older state never replaces a newer one. */
    stateAt: p.datetime(),
    createdAt: p.datetime(),
  },
});

export type Order = InferEntity<typeof Order>;
