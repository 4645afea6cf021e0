import { v7 as uuidv7 } from 'uuid';
import { formatCredits } from '../catalog/credits.ts';
import { receiptLine } from '../catalog/price-usage.ts';
import { DomainError } from '../domain-error.ts';
import { allocate, type Lot } from './allocate.ts';
import type { Burnable } from './burn-order.ts';
import type { EventLocation, Receipt, Spend } from './spend.ts';

/** A team as it stands under its lock. */
export interface TeamStanding {
  deleted: boolean;
  /** Unexpired grants with credits available, in burn order. Deciding draws them down. */
  lots: (Lot & Burnable)[];
}

/** A key that was sent before. */
export interface KnownKey {
  bodyHash: Buffer;
  event: EventLocation;
}

export interface LedgerStanding {
  now: Date;
  /** Missing: there is no such team. */
  teams: ReadonlyMap<string, TeamStanding>;
  /** By `keyOf`. */
  keys: Map<string, KnownKey>;
  /** How far back usage may have occurred, in milliseconds: no further than keys are kept. */
  keysKept: number;
}

export type SpendOutcome =
  | { kind: 'debited'; receipt: Receipt; occurredAt: Date }
  | { kind: 'replayed'; event: EventLocation }
  | { kind: 'refused'; error: DomainError };

/** Callers' clocks may be ahead of ours by this much, in milliseconds. */
const toleratedSkew = 5 * 60_000;

/**
 * What becomes of each spend, in order: each sees what those before it left. Pure but for the lots, which are drawn
 * down, and the ids of new events. A refused spend changes nothing for those after it.
 */
export function decideSpends(spends: readonly Spend[], standing: LedgerStanding): SpendOutcome[] {
  return spends.map((spend) => {
    try {
      return decideSpend(spend, standing);
    } catch (error) {
      if (error instanceof DomainError) return { kind: 'refused', error };
      throw error;
    }
  });
}

/** A caller's key is the caller's within its team. */
export function keyOf({ teamId, idempotencyKey }: Pick<Spend, 'teamId' | 'idempotencyKey'>): string {
  return `${teamId} ${idempotencyKey}`;
}

function decideSpend(spend: Spend, standing: LedgerStanding): SpendOutcome {
  const team = standing.teams.get(spend.teamId);
  if (!team) throw new DomainError(404, 'unknown_team', `There is no team ${spend.teamId}`);

  const key = keyOf(spend);
  const known = standing.keys.get(key);
  if (known) {
    if (known.bodyHash.equals(spend.bodyHash)) return { kind: 'replayed', event: known.event };
    throw new DomainError(
      409,
      'idempotency_conflict',
      'This idempotency key was used for another request: send a new key with it',
    );
  }
  if (team.deleted) throw new DomainError(409, 'team_deleted', 'This team has been deleted');
  const occurredAt = occurrence(spend, standing);

  const { credits, lines } = spend.priced;
  const { draws, short } = allocate(team.lots, credits);
  if (short > 0n) {
    const available = formatCredits(credits - short);
    throw new DomainError(
      402,
      'insufficient_credits',
      `This needs ${formatCredits(credits)} credits and the team has ${available}`,
      {
        required: formatCredits(credits),
        available,
      },
    );
  }
  for (const { lot, credits } of draws) lot.available -= credits;

  const receipt: Receipt = {
    id: uuidv7(),
    action: spend.action,
    credits,
    lines: lines.map(receiptLine),
    grants: draws.map(({ lot, credits }) => ({ grantId: lot.id, source: lot.source, credits })),
    priceVersion: spend.priceVersion,
    balance: { available: team.lots.reduce((total, lot) => total + lot.available, 0n) },
  };
  standing.keys.set(key, {
    bodyHash: spend.bodyHash,
    event: { teamId: spend.teamId, id: receipt.id, occurredAt },
  });
  return { kind: 'debited', receipt, occurredAt };
}

function occurrence({ occurredAt }: Spend, { now, keysKept }: LedgerStanding): Date {
  if (!occurredAt) return now;
  const age = now.getTime() - occurredAt.getTime();
  if (age > keysKept || age < -toleratedSkew) {
    const earliest = new Date(now.getTime() - keysKept).toISOString();
    throw new DomainError(422, 'occurred_at_out_of_range', `occurredAt lies between ${earliest} and now`, {
      earliest,
    });
  }
  return occurredAt;
}
