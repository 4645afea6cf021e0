import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** A billing period of a subscription as Polar reported it, with its newest end: Polar may move the end of a period. */
export const SubscriptionPeriod = defineEntity({
  name: 'SubscriptionPeriod',
  tableName: 'subscription_periods',
  properties: {
    subscriptionId: p.text().primary(),
    startsAt: p.datetime().primary(),
    endsAt: p.datetime(),
    /** Polar's time of the state that contained it. An older state never replaces a newer one. */
    stateAt: p.datetime(),
  },
});

export type SubscriptionPeriod = InferEntity<typeof SubscriptionPeriod>;
