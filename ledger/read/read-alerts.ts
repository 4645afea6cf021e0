import type { EntityManager } from '@mikro-orm/postgresql';
import { Team } from '../../database/entities/team.ts';
import { unknownTeam } from '../../database/lock-living-team.ts';

/**
 * The thresholds of a team's `credits.low`, as they were set.
 * @throws DomainError `unknown_team`
 */
export async function readAlerts(em: EntityManager, teamId: string): Promise<string[]> {
  const team = await em.findOne(Team, { id: teamId, deletedAt: null });
  if (!team) throw unknownTeam(teamId);
  return team.lowBalance;
}
