import type { EntityManager } from '@mikro-orm/postgresql';
import { lockTeam } from '../database/connection.ts';
import type { Team } from '../database/entities/team.ts';
import { unknownTeam } from '../database/lock-living-team.ts';
import { DomainError } from '../domain-error.ts';
import { storeInboxEvent } from '../inbox/inbox.ts';
import { findMember } from './find-team.ts';
import type { MemberEditor } from './members.ts';

export interface DeletedTeam {
  deletedAt: Date;
  /** The inbox row that the team's workflow is to be told of; null where the team was deleted before. */
  inboxId: string | null;
}

/**
 * Deletes a team: from the commit on nobody sees it and nothing of it is spent. Its workflow then ends what it pays at
 * Polar and forfeits its credits. Asking again changes nothing. Belongs in a transaction; locks the team.
 * @throws DomainError 404 `unknown_team`, also for a person who is not in it; 403 `forbidden` for who is no owner;
 *   409 `personal_team`: that goes with its user
 */
export async function deleteTeam(
  em: EntityManager,
  { teamId, by }: { teamId: string; by: MemberEditor },
): Promise<DeletedTeam> {
  const locked = await lockTeam(em, teamId);
  const role = locked && by !== 'service' ? (await findMember(em, teamId, by.userId))?.role : 'owner';
  if (!locked || role === undefined) throw unknownTeam(teamId);
  if (role !== 'owner') {
    throw new DomainError(403, 'forbidden', 'Only an owner of the team may delete it', {
      allowedRoles: ['owner'],
    });
  }
  const { team, now } = locked;
  if (team.personal) {
    throw new DomainError(409, 'personal_team', 'A Personal Team goes only with its user', { teamId });
  }
  return markDeleted(em, team, now);
}

/**
 * Marks a team deleted, with the inbox row `team.deleted` that makes its workflow do the rest. The caller holds the team's
 * lock and has read `now` after it.
 */
export async function markDeleted(em: EntityManager, team: Team, now: Date): Promise<DeletedTeam> {
  if (team.deletedAt) return { deletedAt: team.deletedAt, inboxId: null };
  team.deletedAt = now;
  await em.flush();
  const { id } = await storeInboxEvent(em, {
    teamId: team.id,
    source: 'operator',
    type: 'team.deleted',
    externalId: `team.deleted:${team.id}`,
    payload: {},
  });
  return { deletedAt: now, inboxId: id };
}
