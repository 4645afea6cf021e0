import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** One administrative action: who, and the values before and after. Never changed. Contains no name and no e-mail. */
export const AuditEvent = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  properties: {
    id: p.uuid().primary(),
    at: p.datetime(),
    /** `person:{userId}` or `service:{keyId}`. */
    actor: p.text(),
    action: p.text(),
    teamId: p.uuid().strictNullable(),
    /** The changed object, if it is not the team itself: a user id, a limit, an inbox row. */
    subject: p.text().strictNullable(),
    reason: p.text().strictNullable(),
    before: p.json<unknown>().strictNullable(),
    after: p.json<unknown>().strictNullable(),
  },
});

export type AuditEvent = InferEntity<typeof AuditEvent>;
