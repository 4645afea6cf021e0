import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** How a debt stood from `at` on. Never changed, so that a balance of any past instant can be read. */
export const DebtChange = defineEntity({
  name: 'DebtChange',
  tableName: 'debt_changes',
  properties: {
    id: p.bigint().primary().autoincrement(),
    key: p.text(),
    teamId: p.uuid(),
    owed: p.bigint(),
    settled: p.bigint(),
    at: p.datetime(),
  },
});

export type DebtChange = InferEntity<typeof DebtChange>;
