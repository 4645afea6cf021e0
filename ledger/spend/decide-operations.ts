import { DomainError, hasCode } from '../../domain-error.ts';
import { alertMessages, expiryMessage } from '../../outbox/messages.ts';
import { reviewAlerts } from '../rules/alerts.ts';
import {
  available,
  type BatchState,
  type Changes,
  type KnownKey,
  keyOf,
  MoreGrantsNeeded,
  noChanges,
  type Reading,
} from './batch-state.ts';
import { captureHold } from './capture-hold.ts';
import { endHold, extendHold, holdCredits, isLapsed, releaseHold } from './holds.ts';
import { announceLimit } from './limits.ts';
import type { Operation, Outcome } from './operation.ts';
import { spendCredits } from './spend-credits.ts';

export type Decision =
  /** `outcomes`: one for each operation, in order. */
  | { kind: 'decided'; outcomes: Outcome[]; changes: Changes }
  /** More must be read, and everything must be decided again. */
  | { kind: 'undecided'; reading: Reading };

/**
 * Decides the operations in order; each sees the results of the previous ones. Pure, except that it updates the
 * batch's state and creates new ids. A refused operation does not affect the following ones.
 *
 * @param reading  what was read in addition: its lapsed holds are released before anything is decided
 */
export function decideOperations(
  operations: readonly Operation[],
  state: BatchState,
  reading: Reading,
): Decision {
  const changes = noChanges();
  const lapsedHolds = new Set(reading.lapsedHolds);
  const allGrants = new Set(reading.allGrants);
  for (const hold of state.holds.values()) {
    const team = lapsedHolds.has(hold.teamId) ? state.teams.get(hold.teamId) : undefined;
    if (team && isLapsed(hold, state.now)) endHold(changes, team, hold, 'lapsed', state.now);
  }
  const outcomes: Outcome[] = [];
  const refusedTeams = new Set<string>();
  for (const operation of operations) {
    try {
      outcomes.push(decide(operation, state, changes));
    } catch (error) {
      if (error instanceof MoreGrantsNeeded) {
        allGrants.add(operation.teamId);
        continue;
      }
      if (!(error instanceof DomainError)) throw error;
      if (hasCode(error, 'insufficient_credits', 'limit_reached')) lapsedHolds.add(operation.teamId);
      if (hasCode(error, 'insufficient_credits')) refusedTeams.add(operation.teamId);
      outcomes.push({ kind: 'refused', error });
    }
  }
  // Both sets only grow, up to the teams of the batch, so at some point nothing more is needed.
  const complete = lapsedHolds.size === reading.lapsedHolds.size && allGrants.size === reading.allGrants.size;
  if (!complete) return { kind: 'undecided', reading: { lapsedHolds, allGrants } };
  announce(state, changes, refusedTeams);
  return { kind: 'decided', outcomes, changes };
}

function decide(operation: Operation, state: BatchState, changes: Changes): Outcome {
  const team = state.teams.get(operation.teamId);
  if (!team) throw new DomainError('unknown_team', `There is no team ${operation.teamId}`);
  const known = findKey(operation, state);
  if (known)
    return 'event' in known
      ? { kind: 'replayed', event: known.event }
      : { kind: 'held', answer: known.answer };
  if (team.deleted && operation.kind !== 'lapse')
    throw new DomainError('team_deleted', 'This team has been deleted');
  switch (operation.kind) {
    case 'spend':
      return spendCredits(operation, team, state, changes);
    case 'hold':
      return holdCredits(operation, team, state, changes);
    case 'capture':
      return captureHold(operation, team, state, changes);
    case 'release':
    case 'lapse':
      return releaseHold(operation, team, state, changes);
    case 'extend':
      return extendHold(operation, state, changes);
  }
}

function findKey(
  { teamId, idempotencyKey, bodyHash }: Operation,
  { keys }: BatchState,
): KnownKey | undefined {
  const known = idempotencyKey === null ? undefined : keys.get(keyOf(teamId, idempotencyKey));
  if (known && !known.bodyHash.equals(bodyHash)) {
    throw new DomainError(
      'idempotency_conflict',
      'This idempotency key was used for another request: send a new key',
    );
  }
  return known;
}

/**
 * Adds the messages to other systems that follow from a decided batch, each once: credits that expired with a released
 * hold, limits that were reached, balances that fell to a threshold or to zero. Called after all operations of the
 * batch, because alerts compare balances at the end of a commit.
 *
 * @param refusedTeams  teams for which an operation was refused with `insufficient_credits`
 */
function announce({ teams, now }: BatchState, changes: Changes, refusedTeams: ReadonlySet<string>): void {
  const { moves, messages } = changes;
  const expiries = moves.filter(({ to }) => to === 'expired');
  for (const [teamId, ofTeam] of Map.groupBy(expiries, ({ teamId }) => teamId)) {
    messages.push(expiryMessage(teamId, ofTeam));
  }
  for (const [teamId, team] of teams) {
    if (team.deleted) continue;
    for (const limit of team.limits) messages.push(...announceLimit(teamId, limit));
    const { alerts } = team;
    const balance = available(team, now);
    const review = reviewAlerts(alerts.state, alerts.lowBalance, balance, refusedTeams.has(teamId));
    if (review.state === alerts.state) continue;
    alerts.changed = true;
    alerts.state = review.state;
    messages.push(...alertMessages(teamId, balance, review));
  }
}
