import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** What we know of a Polar order: what it paid and what of that was un-paid since. Money in the currency's minor units. */
export const Order = defineEntity({
  name: 'Order',
  tableName: 'orders',
  properties: {
    id: p.text().primary(),
    teamId: p.uuid(),
    /** Null while only a refund of it was heard of. */
    paidAt: p.datetime().nullable(),
    product: p.text().nullable(),
    subscriptionId: p.text().nullable(),
    currency: p.text().nullable(),
    /** `net_amount + applied_balance_amount` of Polar's order. */
    paidAmount: p.bigint(),
    /** Refunded so far, cumulative, without tax. */
    refundedAmount: p.bigint(),
    /** In open or lost disputes and not already refunded. */
    disputedAmount: p.bigint(),
    /** Micro-credits that a clawback could not take because they were spent ... */
    debt: p.bigint(),
    /** ... and how much of that has been settled since. */
    debtSettled: p.bigint(),
    /** Polar's time of this state; an older state never replaces a newer one. */
    stateAt: p.datetime(),
    createdAt: p.datetime(),
  },
});

export type Order = InferEntity<typeof Order>;
