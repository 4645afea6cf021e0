import { DomainError } from '../../domain-error.ts';
import { captureHold } from './capture-hold.ts';
import { type Changes, noChanges } from './changes.ts';
import { endHold, extendHold, holdCredits, isLapsed, releaseHold } from './holds.ts';
import type { Operation, Outcome } from './operation.ts';
import { spendCredits } from './spend-credits.ts';
import { type KnownKey, keyOf, type Standing } from './standing.ts';

export interface Decision {
  /** One for each operation, in order. */
  outcomes: Outcome[];
  changes: Changes;
  /** Teams where an operation ran short or over a cap: what their lapsed holds set aside may make room for it. */
  short: Set<string>;
}

/**
 * Decides each operation in order; each sees what those before it left. Pure but for the standing, which is drawn
 * down, and the ids of what is new. A refused operation changes nothing for those after it.
 *
 * @param freed  teams that ran short: their lapsed holds are freed before anything is decided
 */
export function decideOperations(
  operations: readonly Operation[],
  standing: Standing,
  freed: ReadonlySet<string> = new Set(),
): Decision {
  const changes = noChanges();
  const short = new Set<string>();
  for (const hold of standing.holds.values()) {
    const team = freed.has(hold.teamId) ? standing.teams.get(hold.teamId) : undefined;
    if (team && isLapsed(hold, standing.now)) endHold(changes, team, hold, 'lapsed', standing.now);
  }
  const outcomes = operations.map((operation): Outcome => {
    try {
      return decide(operation, standing, changes);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      if (error.status === 402) short.add(operation.teamId);
      return { kind: 'refused', error };
    }
  });
  return { outcomes, changes, short };
}

function decide(operation: Operation, standing: Standing, changes: Changes): Outcome {
  const team = standing.teams.get(operation.teamId);
  if (!team) throw new DomainError(404, 'unknown_team', `There is no team ${operation.teamId}`);
  const known = findKey(operation, standing);
  if (known)
    return 'event' in known
      ? { kind: 'replayed', event: known.event }
      : { kind: 'held', answer: known.answer };
  if (team.deleted && operation.kind !== 'lapse')
    throw new DomainError(409, 'team_deleted', 'This team has been deleted');
  switch (operation.kind) {
    case 'spend':
      return spendCredits(operation, team, standing, changes);
    case 'hold':
      return holdCredits(operation, team, standing, changes);
    case 'capture':
      return captureHold(operation, team, standing, changes);
    case 'release':
    case 'lapse':
      return releaseHold(operation, team, standing, changes);
    case 'extend':
      return extendHold(operation, standing, changes);
  }
}

function findKey({ teamId, idempotencyKey, bodyHash }: Operation, { keys }: Standing): KnownKey | undefined {
  const known = idempotencyKey === null ? undefined : keys.get(keyOf(teamId, idempotencyKey));
  if (known && !known.bodyHash.equals(bodyHash)) {
    throw new DomainError(
      409,
      'idempotency_conflict',
      'This idempotency key was used for another request: send a new key with it',
    );
  }
  return known;
}
