import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** Credits given or taken by an operator, with who and why. Never changed. */
export const Adjustment = defineEntity({
  name: 'Adjustment',
  tableName: 'adjustments',
  properties: {
    id: p.uuid().primary(),
    teamId: p.uuid(),
    /** Micro-credits: positive if given, negative if taken. */
    credits: p.bigint(),
    reason: p.text(),
    actor: p.text(),
    /** The order whose credits were taken; null if they count as use. */
    orderId: p.text().strictNullable(),
    expiresAt: p.datetime().strictNullable(),
    createdAt: p.datetime(),
  },
});

export type Adjustment = InferEntity<typeof Adjustment>;
