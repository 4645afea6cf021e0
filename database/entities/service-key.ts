import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The permissions of a service key. */
export const scopes = ['onboarding', 'usage', 'billing', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** A service's key. Only the SHA-256 of its secrets is stored. Times of its life are wall time. */
export const ServiceKey = defineEntity({
  name: 'ServiceKey',
  tableName: 'service_keys',
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    hash: p.blob(),
    scopes: p.array().$type<Scope[]>(),
    createdAt: p.datetime(),
    revokedAt: p.datetime().strictNullable(),
    /** Null: it does not expire. */
    expiresAt: p.datetime().strictNullable(),
    /** To the minute; null: never. */
    lastUsedAt: p.datetime().strictNullable(),
    rotatedAt: p.datetime().strictNullable(),
    /** The secret before the last rotation, which is valid until then. */
    previousHash: p.blob().strictNullable(),
    previousValidUntil: p.datetime().strictNullable(),
  },
});

export type ServiceKey = InferEntity<typeof ServiceKey>;
