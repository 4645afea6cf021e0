import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The state of a debt from `at` on. Never changed, so that the balance at any past instant can be read. */
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
