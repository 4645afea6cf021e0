import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** One administrative act: who did it, what was so before and what after. Never changed; it holds no name and no e-mail. */
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
    /** What was changed, if it is not the team itself: a user id, a limit, an inbox row. */
    subject: p.text().strictNullable(),
    reason: p.text().strictNullable(),
    before: p.json<unknown>().strictNullable(),
    after: p.json<unknown>().strictNullable(),
  },
});

export type AuditEvent = InferEntity<typeof AuditEvent>;
