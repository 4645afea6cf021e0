import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** A line of a paid order of a subscription, as Polar sent it. The lines of a subscription decide its entitlement. */
export const OrderLine = defineEntity({
  name: 'OrderLine',
  tableName: 'order_lines',
  properties: {
    orderId: p.text().primary(),
    line: p.integer().primary(),
    subscriptionId: p.text(),
    /** In the currency's minor units; negative if it returns money. */
    amount: p.bigint(),
    proration: p.boolean(),
    /** Polar's id of the price, which identifies the line's plan. */
    priceId: p.text().strictNullable(),
    /** The period `[start, end)` that it pays for; null in payloads from before September 2026. */
    startsAt: p.datetime().strictNullable(),
    endsAt: p.datetime().strictNullable(),
    /** Whether it is the free line of a trial at Polar. */
    inTrial: p.boolean(),
  },
});

export type OrderLine = InferEntity<typeof OrderLine>;
