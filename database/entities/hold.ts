import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Tags } from './usage-event.ts';

/** `open` until it is captured, released, or swept after its expiry. */
const holdStatuses = ['open', 'captured', 'released', 'lapsed'] as const;
export type HoldStatus = (typeof holdStatuses)[number];

/** Credits reserved for work whose cost is known later. Its draws say which grants hold them. */
export const Hold = defineEntity({
  name: 'Hold',
  tableName: 'holds',
  properties: {
    id: p.uuid().primary(),
    teamId: p.uuid(),
    action: p.text(),
    /** The held micro-credits. */
    credits: p.bigint(),
    /** The prices are fixed when the hold is created. */
    priceVersion: p.integer(),
    memberId: p.text().strictNullable(),
    apiKeyId: p.text().strictNullable(),
    runId: p.text().strictNullable(),
    stepId: p.text().strictNullable(),
    tags: p.json<Tags>().strictNullable(),
    status: p.text().$type<HoldStatus>(),
    expiresAt: p.datetime(),
    /** The latest possible expiry, with extensions. */
    latestExpiry: p.datetime(),
    /** The usage event that captured it. */
    usageEventId: p.uuid().strictNullable(),
    occurredAt: p.datetime().strictNullable(),
    createdAt: p.datetime(),
  },
});

export type Hold = InferEntity<typeof Hold>;
