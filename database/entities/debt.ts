import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** Credits that a clawback could not take because they were spent, in micro-credits. One row per key. */
export const Debt = defineEntity({
  name: 'Debt',
  tableName: 'debts',
  properties: {
    /** `order:{id}` of a pack's order; `cycle:{subscription}:{start}` of a subscription's cycle. */
    key: p.text().primary(),
    teamId: p.uuid(),
    owed: p.bigint(),
    /** Paid so far from other grants of the team, at most `owed`. */
    settled: p.bigint(),
    /** Whether lifetime credits may settle it: true for a pack's debt, false for a cycle's. */
    lifetime: p.boolean(),
    createdAt: p.datetime(),
  },
});

export type Debt = InferEntity<typeof Debt>;
