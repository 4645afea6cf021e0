import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The permissions of a service key. */
export const scopes = ['onboarding', 'usage', 'billing', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** A service's key. Only its SHA-256 is stored. */
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
  },
});

export type ServiceKey = InferEntity<typeof ServiceKey>;
