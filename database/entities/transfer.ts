import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The accounts of a grant. `issued` is the origin of its credits. The others are columns of the grant. */
export const accounts = ['issued', 'available', 'held', 'consumed', 'expired', 'revoked', 'settled'] as const;
export type Account = (typeof accounts)[number];

/** The reason for a transfer. */
export const transferKinds = [
  'grant',
  'spend',
  'expire',
  'reinstate',
  'clawback',
  'settle',
  'hold',
  'capture',
  'release',
  'adjust',
  'forfeit',
] as const;
export type TransferKind = (typeof transferKinds)[number];

/**
 * An immutable row that moves `amount` micro-credits between two accounts of one grant. The database refuses to update
 * or delete it. Partitioned by month of `at`.
 */
export const Transfer = defineEntity({
  name: 'Transfer',
  tableName: 'transfers',
  properties: {
    teamId: p.uuid().primary(),
    at: p.datetime().primary(),
    id: p.bigint().primary().autoincrement(),
    grantId: p.uuid(),
    kind: p.text().$type<TransferKind>(),
    fromAccount: p.text().$type<Account>(),
    toAccount: p.text().$type<Account>(),
    amount: p.bigint(),
    usageEventId: p.uuid().strictNullable(),
    /** The business key or id of its cause, if that is not a usage event. */
    reference: p.text().strictNullable(),
  },
});

export type Transfer = InferEntity<typeof Transfer>;
