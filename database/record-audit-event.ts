import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';

/**
 * One administrative action. It is kept permanently, so it names users and teams by id and contains no name and no
 * e-mail.
 */
export interface AuditRecord {
  /** `person:{userId}`, `service:{keyId}`, or `operator:{name}` for a command or a Temporal update. */
  actor: string;
  /** What was done, as `member.removed`. */
  action: string;
  teamId?: string | null;
  /** The changed object, if it is not the team itself: a user id, `member:{id}` of a limit, an inbox row's id. */
  subject?: string;
  reason?: string;
  /** JSON values; null or absent if there was no value before, or is none after. */
  before?: object | null;
  after?: object | null;
}

/** Records an administrative action. Call it in the same transaction as the action. */
export async function recordAuditEvent(em: EntityManager, record: AuditRecord): Promise<void> {
  const { actor, action, teamId, subject, reason, before, after } = record;
  const json = (value: object | null | undefined) => (value ? JSON.stringify(value) : null);
  await em.execute(
    `insert into audit_events (id, at, actor, action, team_id, subject, reason, before, after)
     values (?, billing_now(), ?, ?, ?, ?, ?, ?::jsonb, ?::jsonb)`,
    [uuidv7(), actor, action, teamId ?? null, subject ?? null, reason ?? null, json(before), json(after)],
  );
}
