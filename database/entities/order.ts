import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * A Polar order as we know it: the money paid, and how much of it was reversed since. In the currency's minor units.
 */
export const Order = defineEntity({
  name: 'Order',
  tableName: 'orders',
  properties: {
    id: p.text().primary(),
    teamId: p.uuid(),
    /** When we granted its credits; null while it is not paid, or if only a refund of it is known. */
    grantedAt: p.datetime().strictNullable(),
    /** Polar's time of the payment. */
    paidAt: p.datetime().strictNullable(),
    product: p.text().strictNullable(),
    subscriptionId: p.text().strictNullable(),
    currency: p.text().strictNullable(),
    /** `net_amount + applied_balance_amount` of Polar's order. */
    paidAmount: p.bigint(),
    /** Refunded so far, cumulative, without tax. */
    refundedAmount: p.bigint(),
    /** In open or lost disputes and not refunded. */
    disputedAmount: p.bigint(),
    /** Whether it bills metered usage (`subscription_meter_cycle`): such an order begins no cycle. */
    billsUsage: p.boolean(),
    /** Whether its plan's allotment is dripped monthly. */
    dripsMonthly: p.boolean(),
    /** Polar's time of this state; an older state never replaces a newer one. */
    stateAt: p.datetime(),
    createdAt: p.datetime(),
  },
});

export type Order = InferEntity<typeof Order>;

/** What is reversed of an order's money: refunded, or in open or lost disputes and not refunded already. In minor units. */
export function reversedAmount({
  refundedAmount,
  disputedAmount,
}: Pick<Order, 'refundedAmount' | 'disputedAmount'>): bigint {
  return refundedAmount + disputedAmount;
}

/** SQL for `reversedAmount`, of the table under this alias. */
export function reversedSql(alias: string): string {
  return `(${alias}.refunded_amount + ${alias}.disputed_amount)`;
}
