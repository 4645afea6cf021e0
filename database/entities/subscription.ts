import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

// What Polar's statuses (`SubscriptionStatus` in its SDK) mean to us: a set for each question. Where only the cycle matters
// (caps that are counted by it, a workflow that must run) any subscription that has not ended will do: `endedAt: null`.

/** Polar may charge for it, now or once it is resumed: it is the team's subscription, and ends with the team. */
export const livingStatuses: string[] = ['trialing', 'active', 'past_due', 'unpaid', 'paused'];

/** Polar charges for it and allows no other beside it: there is nothing to check out, only to change. */
export const billableStatuses: string[] = ['trialing', 'active', 'past_due', 'unpaid'];

/** Its next cycle is expected to be paid. */
export const renewingStatuses: string[] = ['trialing', 'active', 'past_due'];

/** Our mirror of Polar's subscription: the newest state by Polar's own time. It never grants anything. */
export const Subscription = defineEntity({
  name: 'Subscription',
  tableName: 'subscriptions',
  properties: {
    id: p.text().primary(),
    teamId: p.uuid(),
    /** The plan's catalog key. */
    plan: p.text(),
    /** The plan that it changes to with the next period, where it does. */
    nextPlan: p.text().strictNullable(),
    /** Polar's status: incomplete, trialing, active, past_due, canceled, unpaid, paused. */
    status: p.text(),
    currentPeriodStart: p.datetime(),
    currentPeriodEnd: p.datetime(),
    cancelAtPeriodEnd: p.boolean(),
    startedAt: p.datetime().strictNullable(),
    endedAt: p.datetime().strictNullable(),
    /** Day of month on which its cycles start, kept over short months (31 Jan, 28 Feb, 31 Mar). */
    anchorDay: p.integer(),
    /** Polar's time of this state; an older state never replaces a newer one. */
    stateAt: p.datetime(),
  },
});

export type Subscription = InferEntity<typeof Subscription>;
