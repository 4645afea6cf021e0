import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { DECIMAL_LIMIT, formatCredits } from '../../catalog/credits.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { Adjustment } from '../../database/entities/adjustment.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { DomainError } from '../../domain-error.ts';
import { allocate } from '../rules/burn-order.ts';
import { expireCredits } from './expire-credits.ts';
import { grantCredits } from './grant-credits.ts';
import { reviewTeamAlerts, sumSpendableCredits } from './review-team-alerts.ts';
import { applyMoves, readSpendableGrants } from './team-grants.ts';

export interface NewAdjustment {
  teamId: string;
  /** Micro-credits: positive to give, negative to take; never 0. */
  credits: bigint;
  /** The reason. */
  reason: string;
  /** The operator. */
  actor: string;
  /** When given credits expire; null: never. */
  expiresAt: Date | null;
  /**
   * The order whose credits are taken: only credits of its grants are taken, and a refund of it takes that amount
   * less. Without it the taken credits count as use.
   */
  orderId?: string | null;
}

export interface Adjusted {
  id: string;
  /** The created grant, or the grants that credits were taken from, in burn order. Micro-credits. */
  grants: { grantId: string; source: GrantSource; credits: bigint }[];
  /** The team's spendable credits after its debts were settled. */
  available: bigint;
}

/**
 * Gives a team credits as a separate grant, or takes spendable credits in burn order. Each call has an effect: run it
 * in one transaction with the caller's idempotency key. Locks the team.
 * @throws DomainError `unknown_team`, `insufficient_credits` {required, available}; `expires_in_the_past`,
 *   `balance_too_large`
 */
export async function adjustCredits(em: EntityManager, adjustment: NewAdjustment): Promise<Adjusted> {
  const { teamId, credits } = adjustment;
  const { now } = await lockLivingTeam(em, teamId);
  await expireCredits(em, teamId, now);

  const id = uuidv7();
  em.persist(
    em.create(Adjustment, { id, createdAt: now, ...adjustment, orderId: adjustment.orderId ?? null }),
  );
  const grants = credits > 0n ? await give(em, id, adjustment, now) : await take(em, id, adjustment, now);
  await reviewTeamAlerts(em, teamId, now);
  return { id, grants, available: await sumSpendableCredits(em, teamId, now) };
}

/** The business key or reference of everything that an adjustment did. */
function businessKeyOf(id: string): string {
  return `adjustment:${id}`;
}

async function give(
  em: EntityManager,
  id: string,
  { teamId, credits, reason, actor, expiresAt }: NewAdjustment,
  now: Date,
): Promise<Adjusted['grants']> {
  if (expiresAt && expiresAt <= now) {
    throw new DomainError('expires_in_the_past', `expiresAt must be after ${now.toISOString()}`);
  }
  const after = (await sumUnspentCredits(em, teamId)) + credits;
  if (after >= DECIMAL_LIMIT) {
    throw new DomainError('balance_too_large', 'A team must have less than 10^12 credits', {
      balance: formatCredits(after),
    });
  }
  const { catalogVersion } = await readCatalog(em);
  const grant = await grantCredits(
    em,
    {
      teamId,
      source: 'adjustment',
      businessKey: businessKeyOf(id),
      credits,
      effectiveAt: now,
      expiresAt,
      catalogVersion,
      actor,
      reason,
    },
    now,
  );
  return [{ grantId: grant.id, source: grant.source, credits }];
}

async function take(
  em: EntityManager,
  id: string,
  { teamId, credits: change, orderId }: NewAdjustment,
  now: Date,
): Promise<Adjusted['grants']> {
  const credits = -change;
  const lots = await readSpendableGrants(em, teamId, { credits, now, orderId: orderId ?? null });
  const { draws, short } = allocate(lots, credits);
  if (short > 0n) {
    const details = { required: formatCredits(credits), available: formatCredits(credits - short) };
    const what = orderId ? `credits of order ${orderId}` : 'credits';
    throw new DomainError(
      'insufficient_credits',
      `This would take ${details.required} ${what}, and the team has ${details.available}`,
      details,
    );
  }
  const moves = draws.map(({ lot, credits: amount }) => {
    const move = { from: 'available', to: 'revoked', amount, kind: 'adjust' } as const;
    return { grantId: lot.id, ...move, reference: businessKeyOf(id) };
  });
  await applyMoves(em, lots, moves, now, { givesUp: Boolean(orderId) });
  return draws.map(({ lot, credits: amount }) => ({ grantId: lot.id, source: lot.source, credits: amount }));
}

/** A team's available and held credits. Micro-credits. */
async function sumUnspentCredits(em: EntityManager, teamId: string): Promise<bigint> {
  const [row] = await em.execute<{ credits: string }[]>(
    'select coalesce(sum(available + held), 0) as credits from grants where team_id = ? and open',
    [teamId],
  );
  if (!row) throw new Error('a sum has one row');
  return BigInt(row.credits);
}
