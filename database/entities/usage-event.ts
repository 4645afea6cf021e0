import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** A stored line of a receipt: decimal strings, ready for JSON. */
export interface StoredReceiptLine {
  meter: string;
  quantity: string;
  unitPrice: string;
  credits: string;
}

/** The caller's labels of a usage: up to five names, each with a value. */
export type Tags = Record<string, string>;

/**
 * One priced usage. Its receipt is rebuilt from this row and its transfers. Never changed. Partitioned by month of
 * `occurredAt`.
 */
export const UsageEvent = defineEntity({
  name: 'UsageEvent',
  tableName: 'usage_events',
  properties: {
    teamId: p.uuid().primary(),
    occurredAt: p.datetime().primary(),
    id: p.uuid().primary(),
    recordedAt: p.datetime(),
    action: p.text(),
    lines: p.json<StoredReceiptLine[]>(),
    credits: p.bigint(),
    priceVersion: p.integer(),
    /** The team's spendable credits right after this event. */
    balanceAfter: p.bigint(),
    memberId: p.text().strictNullable(),
    apiKeyId: p.text().strictNullable(),
    /** The workflow run that it is part of, and the step of that run. */
    runId: p.text().strictNullable(),
    stepId: p.text().strictNullable(),
    /** Null: none. */
    tags: p.json<Tags>().strictNullable(),
    /** The hold that it captured, if any. */
    holdId: p.uuid().strictNullable(),
    metadata: p.json<Record<string, unknown>>().strictNullable(),
  },
});

export type UsageEvent = InferEntity<typeof UsageEvent>;
