import type { EntityManager } from '@mikro-orm/postgresql';
import { expirySql } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { alertMessages, storeMessages } from '../../outbox/messages.ts';
import { reviewAlerts } from '../rules/alerts.ts';

/**
 * Arms the team's alerts if credits came in, else stores the alerts that are due. Call it at the end of each transaction
 * that may move credits outside the hot path. If a call is missing, the team's next commit does the same. The caller
 * holds the team's lock and has read `now` after it.
 */
export async function reviewTeamAlerts(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const team = await em.findOneOrFail(Team, { id: teamId });
  if (team.deletedAt) return;
  if (team.creditsCameIn) return armTeamAlerts(em, team, now);
  const available = await sumSpendableCredits(em, teamId, now);
  const stored = {
    base: team.alertBase,
    watermark: team.alertWatermark,
    exhaustionSent: team.exhaustionSent,
  };
  const review = reviewAlerts(stored, team.lowBalance, available, false);
  team.alertBase = review.state.base;
  team.alertWatermark = review.state.watermark;
  team.exhaustionSent = review.state.exhaustionSent;
  await em.flush();
  await storeMessages(em, alertMessages(teamId, available, review), now);
}

/**
 * As `armAlerts`, by SQL, so that a step that grants credits need not wait for their sum. No alert can be due: every
 * threshold that was just armed lies below the balance. The entity keeps its earlier values.
 */
async function armTeamAlerts(em: EntityManager, team: Team, now: Date): Promise<void> {
  team.creditsCameIn = false; // before the flush, so that it need not be written at all
  await em.flush(); // the grants are summed by SQL
  await em.execute(
    `update teams
        set alert_base = spendable.credits, alert_watermark = spendable.credits, exhaustion_sent = false, credits_came_in = false
       from (${spendableSumSql}) as spendable
      where id = ?`,
    [team.id, now, team.id],
  );
}

/** The team's spendable credits at `now`, in micro-credits. */
export async function sumSpendableCredits(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  await em.flush();
  const [row] = await em.execute<{ credits: string }[]>(spendableSumSql, [teamId, now]);
  if (!row) throw new Error('a sum has one row');
  return BigInt(row.credits);
}

const spendableSumSql = `select coalesce(sum(g.available), 0) as credits from grants g
                          where g.team_id = ? and g.open and ${expirySql('g')} > ?`;
