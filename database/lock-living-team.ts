import type { EntityManager } from '@mikro-orm/postgresql';
import { DomainError } from '../domain-error.ts';
import { lockTeam, type TeamAndTime } from './connection.ts';

/**
 * Locks the team's row, as `lockTeam`.
 * @throws DomainError `unknown_team`, also for one that was deleted
 */
export async function lockLivingTeam(em: EntityManager, teamId: string): Promise<TeamAndTime> {
  const locked = await lockTeam(em, teamId);
  if (!locked || locked.team.deletedAt) throw unknownTeam(teamId);
  return locked;
}

/**
 * `unknown_team`. The same error if it does not exist, was deleted, or the user is not in it, so that none of
 * these is revealed.
 */
export function unknownTeam(teamId: string): DomainError {
  return new DomainError('unknown_team', `There is no team ${teamId}`, { teamId });
}
