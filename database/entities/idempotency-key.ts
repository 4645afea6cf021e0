import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * A caller's key and its result. Written in the transaction of its effect, and only for a success, so a refused
 * request can be sent again with the same key. `scope` is the team's id for usage and holds, and `{caller} {method}
 * {route}` for every other POST.
 */
export const IdempotencyKey = defineEntity({
  name: 'IdempotencyKey',
  tableName: 'idempotency_keys',
  properties: {
    scope: p.text().primary(),
    key: p.text().primary(),
    /** SHA-256 of the parsed body: the same key with another body is a conflict. */
    bodyHash: p.blob(),
    /** For usage: the usage event, from which the answer is rebuilt. */
    usageEventId: p.uuid().strictNullable(),
    occurredAt: p.datetime().strictNullable(),
    /** For everything else: the answer. */
    status: p.integer().strictNullable(),
    response: p.json<unknown>().strictNullable(),
    createdAt: p.datetime(),
  },
});

export type IdempotencyKey = InferEntity<typeof IdempotencyKey>;
