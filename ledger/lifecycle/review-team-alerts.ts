import type { EntityManager } from '@mikro-orm/postgresql';
import { Team } from '../../database/entities/team.ts';
import { storeMessages } from '../../outbox/store-messages.ts';
import { armAlerts, reviewAlerts } from '../rules/alerts.ts';
import { alertMessages } from '../spend/announce.ts';
import { sumSpendableCredits } from './spendable-grants.ts';

/**
 * Arms the team's alerts if credits came in, and stores the alerts that are due. Call it at the end of each transaction
 * that may move credits outside the hot path. If a call is missing, the team's next commit does the same. The caller
 * holds the team's lock and has read `now` after it.
 *
 * @returns the team's spendable micro-credits
 */
export async function reviewTeamAlerts(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  const team = await em.findOneOrFail(Team, { id: teamId });
  const available = await sumSpendableCredits(em, teamId, now);
  if (team.deletedAt) return available;
  const stored = {
    base: team.alertBase,
    watermark: team.alertWatermark,
    exhaustionSent: team.exhaustionSent,
  };
  const before = team.creditsCameIn ? armAlerts(available) : stored;
  const review = reviewAlerts(before, team.lowBalance, available, false);
  team.creditsCameIn = false;
  team.alertBase = review.state.base;
  team.alertWatermark = review.state.watermark;
  team.exhaustionSent = review.state.exhaustionSent;
  await em.flush();
  await storeMessages(em, alertMessages(teamId, available, review), now);
  return available;
}
