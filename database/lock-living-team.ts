import type { EntityManager } from '@mikro-orm/postgresql';
import { DomainError } from '../domain-error.ts';
import { lockTeam, type TeamAndTime } from './connection.ts';

/**
 * Locks the team's row, as `lockTeam`.
 * @throws DomainError 404 `unknown_team`, also for one that was deleted
 */
export async function lockLivingTeam(em: EntityManager, teamId: string): Promise<TeamAndTime> {
  const locked = await lockTeam(em, teamId);
  if (!locked || locked.team.deletedAt) throw unknownTeam(teamId);
  return locked;
}

/** 404 `unknown_team`: there is none, it was deleted, or the person is not in it; nobody is told which. */
export function unknownTeam(teamId: string): DomainError {
  return new DomainError(404, 'unknown_team', `There is no team ${teamId}`, { teamId });
}
