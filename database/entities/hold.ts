import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** `open` until it is captured or released, or its time is over and it is swept. */
const holdStatuses = ['open', 'captured', 'released', 'lapsed'] as const;
export type HoldStatus = (typeof holdStatuses)[number];

/** Credits set aside for work whose cost is known only later. Its draws say which grants hold it. */
export const Hold = defineEntity({
  name: 'Hold',
  tableName: 'holds',
  properties: {
    id: p.uuid().primary(),
    teamId: p.uuid(),
    action: p.text(),
    /** Micro-credits that were set aside. */
    credits: p.bigint(),
    /** Prices are fixed when the hold is made. */
    priceVersion: p.integer(),
    memberId: p.text().strictNullable(),
    apiKeyId: p.text().strictNullable(),
    status: p.text().$type<HoldStatus>(),
    expiresAt: p.datetime(),
    /** No extension goes beyond this. */
    latestExpiry: p.datetime(),
    /** What captured it. */
    usageEventId: p.uuid().strictNullable(),
    occurredAt: p.datetime().strictNullable(),
    createdAt: p.datetime(),
  },
});

export type Hold = InferEntity<typeof Hold>;
