import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The micro-credits of a debt that a grant has paid: the sum of its transfers with the reference `debt:{key}`. */
export const DebtPayment = defineEntity({
  name: 'DebtPayment',
  tableName: 'debt_payments',
  properties: {
    key: p.text().primary(),
    grantId: p.uuid().primary(),
    credits: p.bigint(),
  },
});

export type DebtPayment = InferEntity<typeof DebtPayment>;
