import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { formatCredits } from '../../catalog/credits.ts';
import { Grant, type GrantSource } from '../../database/entities/grant.ts';
import { storeMessages } from '../../outbox/messages.ts';
import { settleDebts } from './debts.ts';
import { expireCredits } from './expire-credits.ts';
import { applyMoves } from './team-grants.ts';

export interface NewGrant {
  teamId: string;
  source: GrantSource;
  /** Permanently unique: two grants with one key are one grant. */
  businessKey: string;
  /** Micro-credits; > 0. */
  credits: bigint;
  /** When the team got it, by Polar's time, not by arrival. */
  effectiveAt: Date;
  /** Null: lifetime credits. In the past: granted and expired at once. */
  expiresAt: Date | null;
  catalogVersion: number;
  /** The catalog key of the plan or pack. */
  product?: string;
  orderId?: string;
  /** The key of its clawback and its debt; see `Grant`. */
  debtKey?: string;
  subscriptionId?: string;
  period?: { start: Date; end: Date };
  allotment?: bigint;
  /**
   * Set on an allotment that arrived late because of a delay on our side: it can be spent until then, whatever its
   * cycle's expiry is.
   */
  livesUntil?: Date;
  actor?: string;
  reason?: string;
}

/**
 * Grants credits to a team, expires what has expired, and settles the team's debts. The caller holds the team's lock,
 * has read `now` after it, and knows that the business key is new: its unique key refuses a second grant. The next
 * flush writes the grant.
 */
export async function grantCredits(em: EntityManager, grant: NewGrant, now: Date): Promise<Grant> {
  const made = em.create(Grant, {
    id: uuidv7(),
    teamId: grant.teamId,
    source: grant.source,
    businessKey: grant.businessKey,
    granted: grant.credits,
    available: 0n,
    held: 0n,
    consumed: 0n,
    expired: 0n,
    revoked: 0n,
    settled: 0n,
    adjusted: 0n,
    writtenOff: 0n,
    effectiveAt: grant.effectiveAt,
    expiresAt: grant.livesUntil ?? grant.expiresAt,
    livesUntil: grant.livesUntil ?? null,
    product: grant.product ?? null,
    catalogVersion: grant.catalogVersion,
    debtKey: grant.debtKey ?? null,
    orderId: grant.orderId ?? null,
    subscriptionId: grant.subscriptionId ?? null,
    periodStart: grant.period?.start ?? null,
    periodEnd: grant.period?.end ?? null,
    allotment: grant.allotment ?? null,
    actor: grant.actor ?? null,
    reason: grant.reason ?? null,
    createdAt: now,
  });
  const issue = { kind: 'grant', from: 'issued', to: 'available', amount: grant.credits } as const;
  await applyMoves(em, [made], [{ grantId: made.id, ...issue, reference: grant.businessKey }], now);
  em.persist(made);
  const { id: grantId, teamId, source, product, expiresAt } = made;
  const data = {
    ...{ teamId, grantId, source, product },
    credits: formatCredits(grant.credits),
    expiresAt: expiresAt?.toISOString() ?? null,
  };
  await storeMessages(em, [{ type: 'credits.granted', data }], now);
  if (made.expiresAt && made.expiresAt <= now) await expireCredits(em, grant.teamId, now);
  await settleDebts(em, grant.teamId, now);
  return made;
}
