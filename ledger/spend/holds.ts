import { randomUUIDv7 } from 'node:crypto';
import { DomainError } from '../../domain-error.ts';
import {
  type BatchState,
  type Changes,
  drawCredits,
  type GrantState,
  type HoldState,
  holdAnswer,
  move,
  recordHold,
  storedAttribution,
  type TeamState,
} from './batch-state.ts';
import { countAgainst, limitsOn, refuseOverLimit, requireMember } from './limits.ts';
import type {
  ExtendOperation,
  HoldOperation,
  LapseOperation,
  Outcome,
  ReleaseOperation,
} from './operation.ts';
import { releaseHeld } from './release-held.ts';

/**
 * Holds credits for usage whose cost is not known yet, under the consumer's limits.
 * @throws DomainError `insufficient_credits`, `limit_reached`, `too_many_holds`, `member_required`, `member_not_in_team`
 */
export function holdCredits(
  operation: HoldOperation,
  team: TeamState,
  state: BatchState,
  changes: Changes,
): Outcome {
  const { credits, maxOpenHolds } = operation;
  if (team.openHolds >= maxOpenHolds) {
    const message = `A team may have at most ${maxOpenHolds} open holds: capture or release one, then send the same key again`;
    throw new DomainError('too_many_holds', message, { limit: maxOpenHolds });
  }
  requireMember(team, operation);
  const limits = limitsOn(team, operation, state.now);
  const draws = drawCredits(team, credits, state.now);
  refuseOverLimit(limits, credits, team.cycle);

  const made: HoldState = {
    id: randomUUIDv7(),
    teamId: operation.teamId,
    action: operation.action,
    credits,
    priceVersion: operation.priceVersion,
    ...storedAttribution(operation),
    status: 'open',
    expiresAt: new Date(state.now.getTime() + operation.ttlMs),
    latestExpiry: new Date(state.now.getTime() + operation.maxTtlMs),
    draws: draws.map(({ lot, credits }) => ({ grantId: lot.id, credits })),
    event: null,
    changed: 'new',
  };
  for (const { lot, credits } of draws) {
    move(changes, operation, lot, {
      kind: 'hold',
      from: 'available',
      to: 'held',
      amount: credits,
      cause: { reference: `hold:${made.id}` },
    });
  }
  countAgainst(limits, { held: credits });
  team.openHolds += 1;
  state.holds.set(made.id, made);
  return recordHold(operation, made, state, changes);
}

/**
 * Releases a hold, because its caller requested it or because it lapsed. A second release changes nothing.
 * @throws DomainError `unknown_hold`, `hold_expired`, `hold_captured`
 */
export function releaseHold(
  operation: ReleaseOperation | LapseOperation,
  team: TeamState,
  state: BatchState,
  changes: Changes,
): Outcome {
  const hold = lockedHoldOf(operation, state);
  if (operation.kind === 'lapse') {
    if (hold.status === 'open' && isLapsed(hold, state.now))
      endHold(changes, team, hold, 'lapsed', state.now);
    return { kind: 'held', answer: holdAnswer(hold) };
  }
  if (hold.status !== 'released') {
    requireOpen(hold, state.now);
    endHold(changes, team, hold, 'released', state.now);
    team.openHolds -= 1;
  }
  return recordHold(operation, hold, state, changes);
}

/**
 * Sets a hold's expiry to `ttlMs` from now, but never earlier than before.
 * @throws DomainError `unknown_hold`, `hold_expired`, `hold_captured`, `hold_released`, `hold_too_long`
 */
export function extendHold(operation: ExtendOperation, state: BatchState, changes: Changes): Outcome {
  const hold = lockedHoldOf(operation, state);
  requireOpen(hold, state.now);
  const expiresAt = new Date(state.now.getTime() + operation.ttlMs);
  if (expiresAt > hold.latestExpiry) {
    const latest = hold.latestExpiry.toISOString();
    throw new DomainError('hold_too_long', `This hold must end by ${latest}`, {
      latestExpiry: latest,
    });
  }
  if (expiresAt > hold.expiresAt) {
    hold.expiresAt = expiresAt;
    hold.changed ??= 'changed';
  }
  return recordHold(operation, hold, state, changes);
}

/** Releases the held credits of an open hold. */
export function endHold(
  changes: Changes,
  team: TeamState,
  hold: HoldState,
  status: 'released' | 'lapsed',
  now: Date,
): void {
  releaseHeld(changes, team, hold, drawsOf(hold, team), now);
  countAgainst(limitsOn(team, hold, now), { held: -hold.credits });
  hold.status = status;
  hold.changed ??= 'changed';
}

/** The grants on which an open hold draws, in burn order. */
export function drawsOf({ id, draws }: HoldState, team: TeamState): { grant: GrantState; credits: bigint }[] {
  const drawn = new Map(draws.map(({ grantId, credits }) => [grantId, credits]));
  const found = team.grants.flatMap((grant) => {
    const credits = drawn.get(grant.id);
    return credits === undefined ? [] : [{ grant, credits }];
  });
  if (found.length < draws.length) throw new Error(`a grant of hold ${id} has nothing held`);
  return found;
}

/** @throws DomainError `unknown_hold`: it does not exist, or belongs to another team */
export function lockedHoldOf(
  { holdId, teamId }: { holdId: string; teamId: string },
  { holds }: BatchState,
): HoldState {
  const hold = holds.get(holdId);
  if (hold?.teamId === teamId) return hold;
  throw new DomainError('unknown_hold', `There is no hold ${holdId}`);
}

/** From `expiresAt` on a hold has expired, whether it is swept or not. */
export function isLapsed({ status, expiresAt }: HoldState, now: Date): boolean {
  return status === 'open' && expiresAt <= now;
}

/** @throws DomainError `hold_expired`, `hold_captured`, `hold_released` */
export function requireOpen(hold: HoldState, now: Date): void {
  if (hold.status === 'lapsed' || isLapsed(hold, now)) {
    throw new DomainError(
      'hold_expired',
      `This hold expired at ${hold.expiresAt.toISOString()}: create a new one`,
    );
  }
  if (hold.status === 'open') return;
  throw new DomainError(`hold_${hold.status}`, `This hold was ${hold.status}`);
}
