import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../../catalog/credits.ts';
import { expirySql } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import type { Message } from '../../outbox/messages.ts';
import { storeMessages } from '../../outbox/store-messages.ts';
import { type AlertState, armAlerts, reviewAlerts } from '../rules/alerts.ts';

/**
 * Arms the team's alerts if credits came in, and stores the alerts that are due. Call it at the end of each transaction
 * that may move credits outside the hot path. If a call is missing, the team's next commit does the same. The caller
 * holds the team's lock and has read `now` after it.
 */
export async function reviewTeamAlerts(em: EntityManager, teamId: string, now: Date): Promise<void> {
  await em.flush();
  const { available, creditsCameIn, deleted, ...alerts } = await readTeamAlerts(em, teamId, now);
  if (deleted) return;
  const before = creditsCameIn ? armAlerts(available) : alerts.state;
  const { state, crossed, exhausted } = reviewAlerts(before, alerts.lowBalance, available, false);
  if (state === alerts.state) return;
  em.getReference(Team, teamId).creditsCameIn = false;
  await em.flush();
  await em.execute('update teams set alert_base = ?, alert_watermark = ?, exhaustion_sent = ? where id = ?', [
    state.base,
    state.watermark,
    state.exhaustionSent,
    teamId,
  ]);
  const balance = { teamId, available: formatCredits(available) };
  const messages: Message[] = [];
  if (crossed.length > 0) {
    const thresholds = crossed.map(({ threshold, credits }) => {
      return { threshold, credits: formatCredits(credits) };
    });
    messages.push({ type: 'credits.low', data: { ...balance, thresholds } });
  }
  if (exhausted) messages.push({ type: 'credits.exhausted', data: balance });
  await storeMessages(em, messages, now);
}

/** A team's alerts and its spendable micro-credits. */
export interface TeamAlerts {
  lowBalance: string[];
  state: AlertState;
  creditsCameIn: boolean;
  available: bigint;
  deleted: boolean;
}

/** Reads a team's alerts. The team exists, and the caller holds its lock. */
export async function readTeamAlerts(em: EntityManager, teamId: string, now: Date): Promise<TeamAlerts> {
  const [row] = await em.execute<
    {
      low_balance: string[];
      alert_base: string;
      alert_watermark: string;
      exhaustion_sent: boolean;
      credits_came_in: boolean;
      deleted: boolean;
      available: string;
    }[]
  >(
    `select low_balance, alert_base, alert_watermark, exhaustion_sent, credits_came_in, deleted_at is not null as deleted,
            (select coalesce(sum(g.available), 0) from grants g
              where g.team_id = t.id and g.open and ${expirySql('g')} > ?) as available
       from teams t
      where id = ?`,
    [now, teamId],
  );
  if (!row) throw new Error(`there is no team ${teamId}`);
  return {
    lowBalance: row.low_balance,
    state: {
      base: BigInt(row.alert_base),
      watermark: BigInt(row.alert_watermark),
      exhaustionSent: row.exhaustion_sent,
    },
    creditsCameIn: row.credits_came_in,
    available: BigInt(row.available),
    deleted: row.deleted,
  };
}
