import { DomainError } from '../../domain-error.ts';
import { type Changes, move } from './changes.ts';
import { drawCredits } from './draw-credits.ts';
import { countAgainst, limitsOn, refuseOverLimit, requireMember } from './limits.ts';
import { newId } from './new-id.ts';
import type {
  ExtendOperation,
  HoldOperation,
  LapseOperation,
  Outcome,
  ReleaseOperation,
} from './operation.ts';
import { holdAnswer, recordHold } from './record-answer.ts';
import { releaseHeld } from './release-held.ts';
import type { GrantStanding, HoldStanding, Standing, TeamStanding } from './standing.ts';

/**
 * Holds credits for usage whose cost is not known yet, under the consumer's limits.
 * @throws DomainError `insufficient_credits`, `limit_reached`, `too_many_holds`, `member_required`, `member_not_in_team`
 */
export function holdCredits(
  operation: HoldOperation,
  team: TeamStanding,
  standing: Standing,
  changes: Changes,
): Outcome {
  const { credits, mostOpen } = operation;
  if (team.openHolds >= mostOpen) {
    const message = `A team may have at most ${mostOpen} open holds: capture or release one, then send the same key again`;
    throw new DomainError('too_many_holds', message, { limit: mostOpen });
  }
  requireMember(team, operation);
  const limits = limitsOn(team, operation, standing.now);
  const draws = drawCredits(team, credits, standing.now);
  refuseOverLimit(limits, credits);

  const made: HoldStanding = {
    id: newId(),
    teamId: operation.teamId,
    action: operation.action,
    credits,
    priceVersion: operation.priceVersion,
    memberId: operation.memberId ?? null,
    apiKeyId: operation.apiKeyId ?? null,
    status: 'open',
    expiresAt: new Date(standing.now.getTime() + operation.life),
    latestExpiry: new Date(standing.now.getTime() + operation.longestLife),
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
  standing.holds.set(made.id, made);
  return recordHold(operation, made, standing, changes);
}

/**
 * Releases a hold, because its caller requested it or because it lapsed. A second release changes nothing.
 * @throws DomainError `unknown_hold`, `hold_expired`, `hold_captured`
 */
export function releaseHold(
  operation: ReleaseOperation | LapseOperation,
  team: TeamStanding,
  standing: Standing,
  changes: Changes,
): Outcome {
  const held = lockedHoldOf(operation, standing);
  if (operation.kind === 'lapse') {
    if (held.status === 'open' && isLapsed(held, standing.now))
      endHold(changes, team, held, 'lapsed', standing.now);
    return { kind: 'held', answer: holdAnswer(held) };
  }
  if (held.status !== 'released') {
    requireOpen(held, standing.now);
    endHold(changes, team, held, 'released', standing.now);
    team.openHolds -= 1;
  }
  return recordHold(operation, held, standing, changes);
}

/**
 * Sets a hold's expiry to `life` from now, but never earlier than before.
 * @throws DomainError `unknown_hold`, `hold_expired`, `hold_captured`, `hold_released`, `hold_too_long`
 */
export function extendHold(operation: ExtendOperation, standing: Standing, changes: Changes): Outcome {
  const held = lockedHoldOf(operation, standing);
  requireOpen(held, standing.now);
  const expiresAt = new Date(standing.now.getTime() + operation.life);
  if (expiresAt > held.latestExpiry) {
    const latest = held.latestExpiry.toISOString();
    throw new DomainError('hold_too_long', `This hold must end by ${latest}`, {
      latestExpiry: latest,
    });
  }
  if (expiresAt > held.expiresAt) {
    held.expiresAt = expiresAt;
    held.changed ??= 'changed';
  }
  return recordHold(operation, held, standing, changes);
}

/** Releases the held credits of an open hold. */
export function endHold(
  changes: Changes,
  team: TeamStanding,
  held: HoldStanding,
  status: 'released' | 'lapsed',
  now: Date,
): void {
  releaseHeld(changes, team, held, drawsOf(held, team), now);
  countAgainst(limitsOn(team, held, now), { held: -held.credits });
  held.status = status;
  held.changed ??= 'changed';
}

/** The grants on which an open hold draws, in burn order. */
export function drawsOf(
  { id, draws }: HoldStanding,
  team: TeamStanding,
): { grant: GrantStanding; credits: bigint }[] {
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
  { holds }: Standing,
): HoldStanding {
  const held = holds.get(holdId);
  if (held?.teamId === teamId) return held;
  throw new DomainError('unknown_hold', `There is no hold ${holdId}`);
}

/** From `expiresAt` on a hold has expired, whether it is swept or not. */
export function isLapsed({ status, expiresAt }: HoldStanding, now: Date): boolean {
  return status === 'open' && expiresAt <= now;
}

/** @throws DomainError `hold_expired`, `hold_captured`, `hold_released` */
export function requireOpen(held: HoldStanding, now: Date): void {
  if (held.status === 'lapsed' || isLapsed(held, now)) {
    throw new DomainError(
      'hold_expired',
      `This hold expired at ${held.expiresAt.toISOString()}: create a new one`,
    );
  }
  if (held.status === 'open') return;
  throw new DomainError(`hold_${held.status}`, `This hold was ${held.status}`);
}
