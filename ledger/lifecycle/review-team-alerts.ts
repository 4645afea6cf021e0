import type { EntityManager } from '@mikro-orm/postgresql';
import { expirySql } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { alertMessages, storeMessages } from '../../outbox/messages.ts';
import { armAlerts, reviewAlerts } from '../rules/alerts.ts';

/**
 * Arms the team's alerts if credits came in, and stores the alerts that are due. Call it at the end of each transaction
 * that may move credits outside the hot path. If a call is missing, the team's next commit does the same. The caller
 * holds the team's lock and has read `now` after it.
 *
 * @returns the team's spendable micro-credits
 */
export async function reviewTeamAlerts(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  const team = await em.findOneOrFail(Team, { id: teamId });
  if (team.deletedAt) return sumSpendableCredits(em, teamId, now);
  const { creditsCameIn } = team;
  team.creditsCameIn = false; // before the flush, so that it need not be written at all
  const available = await sumSpendableCredits(em, teamId, now);
  const stored = {
    base: team.alertBase,
    watermark: team.alertWatermark,
    exhaustionSent: team.exhaustionSent,
  };
  const before = creditsCameIn ? armAlerts(available) : stored;
  const review = reviewAlerts(before, team.lowBalance, available, false);
  team.alertBase = review.state.base;
  team.alertWatermark = review.state.watermark;
  team.exhaustionSent = review.state.exhaustionSent;
  await em.flush();
  await storeMessages(em, alertMessages(teamId, available, review), now);
  return available;
}

/** The team's spendable credits at `now`, in micro-credits. */
async function sumSpendableCredits(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  await em.flush();
  const [row] = await em.execute<{ credits: string }[]>(
    `select coalesce(sum(g.available), 0) as credits from grants g
      where g.team_id = ? and g.open and ${expirySql('g')} > ?`,
    [teamId, now],
  );
  if (!row) throw new Error('a sum has one row');
  return BigInt(row.credits);
}
