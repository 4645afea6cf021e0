import type { EntityManager } from '@mikro-orm/postgresql';
import { lockTeam } from '../database/connection.ts';
import type { Team } from '../database/entities/team.ts';
import { unknownTeam } from '../database/lock-living-team.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';
import { storeInboxEvent } from '../inbox/inbox.ts';
import { type Actor, demandRights, nameActor } from './actor.ts';

export interface DeletedTeam {
  deletedAt: Date;
  /** The inbox row to signal to the team's workflow; null if the team was already deleted. */
  inboxId: string | null;
}

/**
 * Deletes a team: from the commit on nobody sees it and nothing is spent from it. Its workflow then ends its
 * subscriptions at Polar and forfeits its credits. A repetition changes nothing. Call it in a transaction. Locks the
 * team, but not for a user who is not in it.
 * @throws DomainError `unknown_team`, also for a user who is not in it; `forbidden` for a user who is not an owner;
 *   `personal_team`: it is deleted only with its user
 */
export async function deleteTeam(
  em: EntityManager,
  { teamId, actor }: { teamId: string; actor: Actor },
): Promise<DeletedTeam> {
  await demandRights(em, teamId, actor, ['owner']);
  const locked = await lockTeam(em, teamId);
  if (!locked) throw unknownTeam(teamId);
  await demandRights(em, teamId, actor, ['owner']);
  const { team, now } = locked;
  if (team.personal) {
    throw new DomainError('personal_team', 'A Personal Team is deleted only with its user', { teamId });
  }
  return markDeleted(em, team, now, actor);
}

/**
 * Marks a team as deleted and writes the inbox row `team.deleted`, which makes its workflow do the rest. The caller
 * holds the team's lock and has read `now` after it.
 */
export async function markDeleted(
  em: EntityManager,
  team: Team,
  now: Date,
  actor: Actor,
): Promise<DeletedTeam> {
  if (team.deletedAt) return { deletedAt: team.deletedAt, inboxId: null };
  team.deletedAt = now;
  await em.flush();
  await recordAuditEvent(em, {
    actor: nameActor(actor),
    action: 'team.deleted',
    teamId: team.id,
    before: { name: team.name, personal: team.personal },
  });
  const { id } = await storeInboxEvent(em, {
    teamId: team.id,
    source: 'operator',
    type: 'team.deleted',
    externalId: `team.deleted:${team.id}`,
    payload: {},
  });
  return { deletedAt: now, inboxId: id };
}
