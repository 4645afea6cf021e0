import { formatCredits } from '../../catalog/credits.ts';
import type { Message } from '../../outbox/messages.ts';
import { type AlertReview, reviewAlerts } from '../rules/alerts.ts';
import type { Move } from '../rules/move.ts';
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
    changes.messages.push(expiryMessage(teamId, ofTeam));
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
  const review = reviewAlerts(alerts.state, alerts.lowBalance, balance, refused);
  if (review.state !== alerts.state) alerts.changed = true;
  alerts.state = review.state;
  changes.messages.push(...alertMessages(teamId, balance, review));
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

/** The `credits.low` and `credits.exhausted` that a review found due. @param available  the team's spendable micro-credits */
export function alertMessages(
  teamId: string,
  available: bigint,
  { crossed, exhausted }: Pick<AlertReview, 'crossed' | 'exhausted'>,
): Message[] {
  const balance = { teamId, available: formatCredits(available) };
  const thresholds = crossed.map(({ threshold, credits }) => {
    return { threshold, credits: formatCredits(credits) };
  });
  return [
    ...(crossed.length > 0 ? [{ type: 'credits.low' as const, data: { ...balance, thresholds } }] : []),
    ...(exhausted ? [{ type: 'credits.exhausted' as const, data: balance }] : []),
  ];
}

/** The `credits.expired` of moves to `expired`, all of one team. */
export function expiryMessage(teamId: string, moves: readonly Pick<Move, 'grantId' | 'amount'>[]): Message {
  const expired = moves.reduce((sum, { amount }) => sum + amount, 0n);
  const grants = moves.map(({ grantId, amount }) => ({ grantId, credits: formatCredits(amount) }));
  return { type: 'credits.expired', data: { teamId, credits: formatCredits(expired), grants } };
}
