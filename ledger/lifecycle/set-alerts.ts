import type { EntityManager } from '@mikro-orm/postgresql';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { readTeamAlerts, reviewTeamAlerts } from './review-team-alerts.ts';

/**
 * Sets the thresholds of a team's `credits.low`. A threshold at or above the current balance was not crossed, so it is
 * sent only after credits came in. Locks the team.
 *
 * @param lowBalance  up to five: credits as a decimal string, or a percentage of the balance after credits last came in
 * @returns the thresholds before
 * @throws DomainError `unknown_team`
 */
export async function setAlerts(
  em: EntityManager,
  teamId: string,
  lowBalance: readonly string[],
): Promise<string[]> {
  const { now } = await lockLivingTeam(em, teamId);
  await reviewTeamAlerts(em, teamId, now);
  const { lowBalance: before, available } = await readTeamAlerts(em, teamId, now);
  await em.execute(
    'update teams set low_balance = ?::text[], alert_watermark = least(alert_watermark, ?) where id = ?',
    [`{${lowBalance.join(',')}}`, available, teamId],
  );
  return before;
}
