import type { EntityManager } from '@mikro-orm/postgresql';
import { unknownTeam } from '../../database/lock-living-team.ts';

/**
 * The thresholds of a team's `credits.low`, as they were set.
 * @throws DomainError `unknown_team`
 */
export async function readAlerts(em: EntityManager, teamId: string): Promise<string[]> {
  const [row] = await em.execute<{ low_balance: string[] }[]>(
    'select low_balance from teams where id = ? and deleted_at is null',
    [teamId],
  );
  if (!row) throw unknownTeam(teamId);
  return row.low_balance;
}
