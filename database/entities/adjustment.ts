import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** Credits given or taken by hand, with who and why. Never changed. */
export const Adjustment = defineEntity({
  name: 'Adjustment',
  tableName: 'adjustments',
  properties: {
    id: p.uuid().primary(),
    teamId: p.uuid(),
    /** Micro-credits, up or down. */
    credits: p.bigint(),
    reason: p.text(),
    actor: p.text(),
    /** The order whose credits were taken; null where they count as use. */
    orderId: p.text().strictNullable(),
    expiresAt: p.datetime().strictNullable(),
    createdAt: p.datetime(),
  },
});

export type Adjustment = InferEntity<typeof Adjustment>;
