import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The accounts of a grant. `issued` is where its credits come from; the others are columns of the grant. */
export const accounts = ['issued', 'available', 'held', 'consumed', 'expired', 'revoked', 'settled'] as const;
export type Account = (typeof accounts)[number];

/** What a transfer was made for. */
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
 * One immutable row that moves `amount` micro-credits between two accounts of one grant.
 * The database refuses to update or delete it. Partitioned by month of `at`.
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
    /** The business key or id of what caused it, where no usage event did. */
    reference: p.text().strictNullable(),
  },
});

export type Transfer = InferEntity<typeof Transfer>;
