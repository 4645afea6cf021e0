import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** What a clawback could not take because it was spent, in micro-credits. One row per key. */
export const Debt = defineEntity({
  name: 'Debt',
  tableName: 'debts',
  properties: {
    /** `order:{id}` of a pack's order; `cycle:{subscription}:{start}` of a subscription's cycle. */
    key: p.text().primary(),
    teamId: p.uuid(),
    owed: p.bigint(),
    /** Paid so far from other grants of the team; never more than is owed. */
    settled: p.bigint(),
    /** Whether lifetime credits may settle it: a pack's debt yes, a subscription's never. */
    lifetime: p.boolean(),
    createdAt: p.datetime(),
  },
});

export type Debt = InferEntity<typeof Debt>;
