import type { EntityManager } from '@mikro-orm/postgresql';
import type { Grant } from '../../database/entities/grant.ts';
import { GrantExpiryChange } from '../../database/entities/grant-expiry-change.ts';

/** Sets the expiry of a grant. Each change is a row. The caller holds the team's lock. */
export function changeExpiry(
  em: EntityManager,
  grant: Grant,
  expiresAt: Date,
  { reason, now }: { reason: string; now: Date },
): void {
  if (grant.expiresAt?.getTime() === expiresAt.getTime()) return;
  em.persist(
    em.create(GrantExpiryChange, {
      grantId: grant.id,
      teamId: grant.teamId,
      fromExpiresAt: grant.expiresAt,
      toExpiresAt: expiresAt,
      reason,
      at: now,
    }),
  );
  grant.expiresAt = expiresAt;
}

/**
 * Credits that a won dispute or a reversed refund gives back after their expiry can be spent for another `lateLifeMs`
 * milliseconds from now.
 */
export function giveLateLife(em: EntityManager, grant: Grant, lateLifeMs: number, now: Date): void {
  if (!grant.expiresAt || grant.expiresAt > now) return;
  grant.livesUntil = new Date(now.getTime() + lateLifeMs);
  changeExpiry(em, grant, grant.livesUntil, { reason: 'credits came back after their expiry', now });
}
