import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** How a debt stood from `at` on. Never changed: a balance can be told for any past instant. */
export const DebtChange = defineEntity({
  name: 'DebtChange',
  tableName: 'debt_changes',
  properties: {
    id: p.bigint().primary().autoincrement(),
    orderId: p.text(),
    teamId: p.uuid(),
    owed: p.bigint(),
    settled: p.bigint(),
    at: p.datetime(),
  },
});

export type DebtChange = InferEntity<typeof DebtChange>;
