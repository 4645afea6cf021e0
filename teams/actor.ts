import type { EntityManager } from '@mikro-orm/postgresql';
import type { TeamAndTime } from '../database/connection.ts';
import type { Role } from '../database/entities/member.ts';
import { lockLivingTeam, unknownTeam } from '../database/lock-living-team.ts';
import { type AuditRecord, recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';
import { findMember } from './find-team.ts';

/** Who makes a change: a user with their role in the team, or a service by its key. */
export type Actor = { kind: 'person'; userId: string } | { kind: 'service'; keyId: string };

/** The id of the service key from the environment. It is valid while the process runs. */
export const environmentKeyId = 'environment';

/** The actor's name in keys, records and logs: `person:{userId}` or `service:{keyId}`. */
export function nameActor(actor: Actor): string {
  return actor.kind === 'service' ? `service:${actor.keyId}` : `person:${actor.userId}`;
}

/** What an actor did. */
export type Act = Omit<AuditRecord, 'actor'>;

/** Records an administrative action of an actor. Call it in the same transaction as the action. */
export async function recordAct(em: EntityManager, actor: Actor, act: Act): Promise<void> {
  await recordAuditEvent(em, { ...act, actor: nameActor(actor) });
}

/**
 * Checks that the actor may still make the change: a user by their current role, a service by its key. The caller
 * holds the team's lock, so neither role nor key can change before the transaction ends.
 * @param allowed  the roles that may make the change; a service may make any
 * @throws DomainError `unknown_team` for a user who is not in the team; `forbidden` {allowedRoles}; `unauthenticated`
 *   for a service key that was revoked meanwhile
 */
export async function demandRights(
  em: EntityManager,
  teamId: string,
  actor: Actor,
  allowed: readonly Role[],
): Promise<void> {
  if (actor.kind === 'service') return demandValidKey(em, actor.keyId);
  const member = await findMember(em, teamId, actor.userId);
  if (!member) throw unknownTeam(teamId);
  if (allowed.includes(member.role)) return;
  const message = `A team’s ${member.role} may not do this, only ${allowed.join(', ')}`;
  throw new DomainError('forbidden', message, { allowedRoles: allowed });
}

/**
 * Locks the team's row and then checks the actor's rights. Call it first in each transaction that changes a team.
 * @throws DomainError as {@link demandRights}; `unknown_team`, also for one that was deleted
 */
export async function lockTeamAs(
  em: EntityManager,
  teamId: string,
  actor: Actor,
  allowed: readonly Role[],
): Promise<TeamAndTime> {
  const locked = await lockLivingTeam(em, teamId);
  await demandRights(em, teamId, actor, allowed);
  return locked;
}

/**
 * Checks that a service key is valid, and locks it until the transaction ends.
 * @throws DomainError `unauthenticated`
 */
export async function demandValidKey(em: EntityManager, keyId: string): Promise<void> {
  if (keyId === environmentKeyId) return;
  const valid = await em.execute(
    `select id from service_keys
      where id = ? and revoked_at is null and (expires_at is null or expires_at > now()) for share`,
    [keyId],
  );
  if (valid.length > 0) return;
  throw new DomainError('unauthenticated', 'The service key is unknown, was revoked or has expired');
}
