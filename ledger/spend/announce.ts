import { formatCredits } from '../../catalog/credits.ts';
import { reviewAlerts } from '../rules/alerts.ts';
import { available, type BatchState, type LimitState, type TeamState } from './batch-state.ts';
import type { Changes } from './changes.ts';

/**
 * Adds the messages to other systems that follow from a decided batch, each once: credits that expired with a released
 * hold, limits that were reached, balances that fell to a threshold or to zero. Called after all operations of the
 * batch, because alerts compare balances at the end of a commit.
 *
 * @param refusedTeams  teams for which an operation was refused with `insufficient_credits`
 */
export function announce(batch: BatchState, changes: Changes, refusedTeams: ReadonlySet<string>): void {
  const expiries = changes.moves.filter(({ to }) => to === 'expired');
  for (const [teamId, ofTeam] of Map.groupBy(expiries, ({ teamId }) => teamId)) {
    changes.messages.push({
      type: 'credits.expired',
      data: {
        teamId,
        credits: formatCredits(ofTeam.reduce((sum, { amount }) => sum + amount, 0n)),
        grants: ofTeam.map(({ grantId, amount }) => ({ grantId, credits: formatCredits(amount) })),
      },
    });
  }
  for (const [teamId, team] of batch.teams) {
    if (team.deleted) continue;
    for (const limit of team.limits) announceLimit(teamId, limit, changes);
    announceBalance(teamId, team, batch.now, refusedTeams.has(teamId), changes);
  }
}

function announceBalance(
  teamId: string,
  team: TeamState,
  now: Date,
  refused: boolean,
  changes: Changes,
): void {
  const { alerts } = team;
  const balance = available(team, now);
  const { state, crossed, exhausted } = reviewAlerts(alerts.state, alerts.lowBalance, balance, refused);
  if (state !== alerts.state) alerts.changed = true;
  alerts.state = state;
  if (crossed.length > 0) {
    const thresholds = crossed.map(({ threshold, credits }) => {
      return { threshold, credits: formatCredits(credits) };
    });
    changes.messages.push({
      type: 'credits.low',
      data: { teamId, available: formatCredits(balance), thresholds },
    });
  }
  if (exhausted)
    changes.messages.push({
      type: 'credits.exhausted',
      data: { teamId, available: formatCredits(balance) },
    });
}

/** A limit is reached if no more may be consumed, or if it refused an operation. Sent once for each window. */
function announceLimit(teamId: string, limit: LimitState, changes: Changes): void {
  const { active, consumed, held, credits, windowStart, announcedWindow, refused, changed } = limit;
  if (!active || announcedWindow?.getTime() === windowStart.getTime()) return;
  const isUsedUp = changed && credits > 0n && consumed + held >= credits;
  if (!refused && !isUsedUp) return;
  limit.announcedWindow = windowStart;
  limit.changed = true;
  changes.messages.push({
    type: 'limit.reached',
    data: {
      teamId,
      level: limit.subject,
      subjectId: limit.subjectId,
      limit: formatCredits(credits),
      per: limit.per,
      used: formatCredits(consumed + held),
      windowStart: windowStart.toISOString(),
    },
  });
}
