import { v7 as uuidv7 } from 'uuid';
import { formatCredits } from '../catalog/credits.ts';
import { type PricedUsage, receiptLine } from '../catalog/price-usage.ts';
import { DomainError } from '../domain-error.ts';
import { allocate } from './allocate.ts';
import { available, type Changes, move, noChanges, spendable } from './changes.ts';
import { checkLimits, countAgainst, limitsOn } from './check-limits.ts';
import type {
  CaptureOperation,
  EventLocation,
  ExtendOperation,
  HoldAnswer,
  HoldOperation,
  LapseOperation,
  Operation,
  Receipt,
  ReleaseOperation,
  SpendOperation,
} from './operation.ts';
import { releaseHeld } from './release-held.ts';
import {
  type GrantStanding,
  type HoldStanding,
  type KnownKey,
  keyOf,
  type Standing,
  type TeamStanding,
} from './standing.ts';

/** What becomes of an operation. */
export type Outcome =
  | { kind: 'debited'; receipt: Receipt }
  | { kind: 'held'; answer: HoldAnswer }
  /** Nothing happens: the receipt is that of an earlier event. */
  | { kind: 'replayed'; event: EventLocation }
  | { kind: 'refused'; error: DomainError };

export interface Decision {
  /** One for each operation, in order. */
  outcomes: Outcome[];
  changes: Changes;
  /** Teams where an operation ran short or over a cap: what their lapsed holds set aside may make room for it. */
  short: Set<string>;
}

/** Callers' clocks may be ahead of ours by this much, in milliseconds. */
const toleratedSkew = 5 * 60_000;

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
      return spend(operation, team, standing, changes);
    case 'hold':
      return hold(operation, team, standing, changes);
    case 'capture':
      return capture(operation, team, standing, changes);
    case 'release':
    case 'lapse':
      return release(operation, team, standing, changes);
    case 'extend':
      return extend(operation, standing, changes);
  }
}

function spend(operation: SpendOperation, team: TeamStanding, standing: Standing, changes: Changes): Outcome {
  const occurredAt = occurrence(operation, standing);
  const { credits } = operation.priced;
  const limits = limitsOn(team, operation, standing.now);
  const draws = draw(team, credits, standing.now);
  checkLimits(limits, credits);

  const id = uuidv7();
  for (const { lot, credits } of draws) {
    move(changes, operation, lot, {
      kind: 'spend',
      from: 'available',
      to: 'consumed',
      amount: credits,
      event: id,
    });
  }
  countAgainst(limits, { consumed: credits });
  const paid = draws.map(({ lot, credits }) => ({ grantId: lot.id, source: lot.source, credits }));
  const receipt = makeReceipt(id, operation, operation.priced, paid, available(team, standing.now), null);
  return record(operation, receipt, operation, occurredAt, standing, changes);
}

function hold(operation: HoldOperation, team: TeamStanding, standing: Standing, changes: Changes): Outcome {
  const { credits } = operation;
  const limits = limitsOn(team, operation, standing.now);
  const draws = draw(team, credits, standing.now);
  checkLimits(limits, credits);

  const made: HoldStanding = {
    id: uuidv7(),
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
      reference: `hold:${made.id}`,
    });
  }
  countAgainst(limits, { held: credits });
  standing.holds.set(made.id, made);
  return answerHold(operation, made, standing, changes);
}

function capture(
  operation: CaptureOperation,
  team: TeamStanding,
  standing: Standing,
  changes: Changes,
): Outcome {
  const held = findHold(operation, standing);
  const { credits } = operation.priced;
  if (held.status === 'captured' && held.event) {
    if (held.event.credits === credits) return { kind: 'replayed', event: held.event };
    throw new DomainError(
      409,
      'hold_captured',
      `This hold was captured for ${formatCredits(held.event.credits)} credits`,
    );
  }
  requireOpen(held, standing.now);

  // What was held goes first; whatever is over comes from the pool, under the caps.
  const lots = drawsOf(held, team).map(({ grant, credits }) => ({ id: grant.id, available: credits, grant }));
  const fromHeld = allocate(lots, credits);
  const limits = limitsOn(
    team,
    { memberId: held.memberId ?? 'no member', apiKeyId: held.apiKeyId },
    standing.now,
  );
  const excess = fromHeld.short > 0n ? draw(team, fromHeld.short, standing.now, credits) : [];
  if (fromHeld.short > 0n) checkLimits(limits, fromHeld.short);

  const id = uuidv7();
  const paid: Receipt['grants'] = [];
  const pay = (grant: GrantStanding, from: 'held' | 'available', amount: bigint) => {
    move(changes, operation, grant, { kind: 'capture', from, to: 'consumed', amount, event: id });
    const before = paid.find(({ grantId }) => grantId === grant.id);
    if (before) before.credits += amount;
    else paid.push({ grantId: grant.id, source: grant.source, credits: amount });
  };
  for (const { lot, credits } of fromHeld.draws) pay(lot.grant, 'held', credits);
  for (const { lot, credits } of excess) pay(lot, 'available', credits);
  for (const { id, grant, available } of lots) {
    const used = fromHeld.draws.find(({ lot }) => lot.id === id)?.credits ?? 0n;
    if (available > used) releaseHeld(changes, team, held, grant, available - used, standing.now);
  }
  countAgainst(limits, { consumed: credits, held: -held.credits });

  const receipt = makeReceipt(id, held, operation.priced, paid, available(team, standing.now), held.id);
  held.status = 'captured';
  held.changed ??= 'changed';
  held.event = { teamId: held.teamId, id, occurredAt: standing.now, credits };
  return record(operation, receipt, held, standing.now, standing, changes, operation.metadata);
}

function release(
  operation: ReleaseOperation | LapseOperation,
  team: TeamStanding,
  standing: Standing,
  changes: Changes,
): Outcome {
  const held = findHold(operation, standing);
  if (operation.kind === 'lapse') {
    if (held.status === 'open' && isLapsed(held, standing.now))
      endHold(changes, team, held, 'lapsed', standing.now);
    return { kind: 'held', answer: toAnswer(held) };
  }
  if (held.status !== 'released') {
    requireOpen(held, standing.now);
    endHold(changes, team, held, 'released', standing.now);
  }
  return answerHold(operation, held, standing, changes);
}

function extend(operation: ExtendOperation, standing: Standing, changes: Changes): Outcome {
  const held = findHold(operation, standing);
  requireOpen(held, standing.now);
  const expiresAt = new Date(standing.now.getTime() + operation.life);
  if (expiresAt > held.latestExpiry) {
    const latest = held.latestExpiry.toISOString();
    throw new DomainError(422, 'hold_too_long', `This hold ends at ${latest} at the latest`, {
      latestExpiry: latest,
    });
  }
  if (expiresAt > held.expiresAt) {
    held.expiresAt = expiresAt;
    held.changed ??= 'changed';
  }
  return answerHold(operation, held, standing, changes);
}

/** Frees what an open hold sets aside. */
function endHold(
  changes: Changes,
  team: TeamStanding,
  held: HoldStanding,
  status: 'released' | 'lapsed',
  now: Date,
): void {
  for (const { grant, credits } of drawsOf(held, team)) {
    releaseHeld(changes, team, held, grant, credits, now);
  }
  const subjects = new Set([`member ${held.memberId}`, `key ${held.apiKeyId}`]);
  countAgainst(
    team.limits.filter(({ subject, subjectId }) => subjects.has(`${subject} ${subjectId}`)),
    { held: -held.credits },
  );
  held.status = status;
  held.changed ??= 'changed';
}

/** Which grants an open hold has drawn on, in burn order. */
function drawsOf(
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

/** @param required  what the whole operation needs, where this is only a part of it */
function draw(team: TeamStanding, credits: bigint, now: Date, required = credits) {
  const { draws, short } = allocate(spendable(team, now), credits);
  if (short === 0n) return draws;
  const details = { required: formatCredits(required), available: formatCredits(required - short) };
  throw new DomainError(
    402,
    'insufficient_credits',
    `This needs ${details.required} credits and the team has ${details.available}`,
    details,
  );
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

function findHold({ holdId, teamId }: { holdId: string; teamId: string }, { holds }: Standing): HoldStanding {
  const held = holds.get(holdId);
  if (held?.teamId === teamId) return held;
  throw new DomainError(404, 'unknown_hold', `There is no hold ${holdId}`);
}

/** At the instant at which it expires a hold is over, whether it was swept or not. */
function isLapsed({ status, expiresAt }: HoldStanding, now: Date): boolean {
  return status === 'open' && expiresAt <= now;
}

function requireOpen(held: HoldStanding, now: Date): void {
  if (held.status === 'lapsed' || isLapsed(held, now)) {
    throw new DomainError(
      409,
      'hold_expired',
      `This hold expired at ${held.expiresAt.toISOString()}: make a new one`,
    );
  }
  if (held.status === 'open') return;
  throw new DomainError(409, `hold_${held.status}`, `This hold was ${held.status}`);
}

function occurrence({ occurredAt }: SpendOperation, { now, keysKept }: Standing): Date {
  if (!occurredAt) return now;
  const age = now.getTime() - occurredAt.getTime();
  if (age <= keysKept && age >= -toleratedSkew) return occurredAt;
  const earliest = new Date(now.getTime() - keysKept).toISOString();
  throw new DomainError(422, 'occurred_at_out_of_range', `occurredAt lies between ${earliest} and now`, {
    earliest,
  });
}

function makeReceipt(
  id: string,
  { action, priceVersion }: { action: string; priceVersion: number },
  { credits, lines }: PricedUsage,
  grants: Receipt['grants'],
  balance: bigint,
  holdId: string | null,
): Receipt {
  return {
    id,
    action,
    credits,
    lines: lines.map(receiptLine),
    grants,
    priceVersion,
    holdId,
    balance: { available: balance },
  };
}

function record(
  operation: SpendOperation | CaptureOperation,
  receipt: Receipt,
  { memberId, apiKeyId }: { memberId?: string | null | undefined; apiKeyId?: string | null | undefined },
  occurredAt: Date,
  { keys }: Standing,
  changes: Changes,
  metadata = operation.metadata,
): Outcome {
  const { teamId, idempotencyKey, bodyHash } = operation;
  changes.events.push({
    teamId,
    occurredAt,
    receipt,
    memberId: memberId ?? null,
    apiKeyId: apiKeyId ?? null,
    metadata: metadata ?? null,
  });
  const event = { teamId, id: receipt.id, occurredAt };
  if (idempotencyKey !== null) {
    keys.set(keyOf(teamId, idempotencyKey), { bodyHash, event });
    changes.keys.push({ teamId, key: idempotencyKey, bodyHash, event, answer: null });
  }
  return { kind: 'debited', receipt };
}

function answerHold(
  { teamId, idempotencyKey, bodyHash }: Operation,
  held: HoldStanding,
  { keys }: Standing,
  changes: Changes,
): Outcome {
  const answer = toAnswer(held);
  if (idempotencyKey !== null) {
    keys.set(keyOf(teamId, idempotencyKey), { bodyHash, answer });
    changes.keys.push({ teamId, key: idempotencyKey, bodyHash, event: null, answer });
  }
  return { kind: 'held', answer };
}

function toAnswer({ id, status, credits, expiresAt }: HoldStanding): HoldAnswer {
  return {
    id,
    status: status === 'open' ? 'open' : 'released',
    credits: formatCredits(credits),
    expiresAt: expiresAt.toISOString(),
  };
}
