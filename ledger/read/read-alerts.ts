import type { EntityManager } from '@mikro-orm/postgresql';
import { Team } from '../../database/entities/team.ts';
import { unknownTeam } from '../../database/lock-living-team.ts';

export interface Alerts {
  /** The thresholds of `credits.low`, as they were set. */
  lowBalance: string[];
  /** The balance after credits last came in, in micro-credits: percentages are of it. */
  percentOf: bigint;
}

/**
 * When a team is alerted.
 * @throws DomainError `unknown_team`
 */
export async function readAlerts(em: EntityManager, teamId: string): Promise<Alerts> {
  const team = await em.findOne(Team, { id: teamId, deletedAt: null });
  if (!team) throw unknownTeam(teamId);
  return { lowBalance: team.lowBalance, percentOf: team.alertBase };
}
