import type { EntityManager } from '@mikro-orm/postgresql';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { reviewTeamAlerts, sumSpendableCredits } from './review-team-alerts.ts';

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
  const { team, now } = await lockLivingTeam(em, teamId);
  await reviewTeamAlerts(em, teamId, now);
  await em.refresh(team); // it may have been armed by SQL
  const available = await sumSpendableCredits(em, teamId, now);
  const before = team.lowBalance;
  team.lowBalance = [...lowBalance];
  if (available < team.alertWatermark) team.alertWatermark = available;
  await em.flush();
  return before;
}
