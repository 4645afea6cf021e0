import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The micro-credits of a hold that one grant holds. Never changed. */
export const HoldDraw = defineEntity({
  name: 'HoldDraw',
  tableName: 'hold_draws',
  properties: {
    holdId: p.uuid().primary(),
    grantId: p.uuid().primary(),
    credits: p.bigint(),
  },
});

export type HoldDraw = InferEntity<typeof HoldDraw>;
