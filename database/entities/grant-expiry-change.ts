import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** One change of a grant's expiry: the old and the new expiry, the reason, and when it was made. */
export const GrantExpiryChange = defineEntity({
  name: 'GrantExpiryChange',
  tableName: 'grant_expiry_changes',
  properties: {
    id: p.bigint().primary().autoincrement(),
    grantId: p.uuid(),
    teamId: p.uuid(),
    fromExpiresAt: p.datetime().strictNullable(),
    toExpiresAt: p.datetime().strictNullable(),
    reason: p.text(),
    at: p.datetime(),
  },
});

export type GrantExpiryChange = InferEntity<typeof GrantExpiryChange>;
