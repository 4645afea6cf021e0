import type { EntityManager } from '@mikro-orm/postgresql';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import type { PolarTeamRef } from '../polar/events.ts';
import { meansTeam, resolveTeam } from '../polar/resolve-team.ts';

/**
 * Checks that the event's own ids do not contradict the team to which it was routed. Otherwise an operator decides.
 * @throws DomainError `doubtful_team`
 */
export async function checkTeam(em: EntityManager, team: Team, ref: PolarTeamRef): Promise<void> {
  if (meansTeam(ref, team)) return;
  const resolved = await resolveTeam(em, ref);
  if ('doubtful' in resolved) throw new DomainError('doubtful_team', resolved.doubtful);
  if ('teamId' in resolved && resolved.teamId !== team.id)
    throw new DomainError('doubtful_team', `Its ids belong to team ${resolved.teamId}, not to ${team.id}`);
}
