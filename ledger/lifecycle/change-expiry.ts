import type { EntityManager } from '@mikro-orm/postgresql';
import type { Grant } from '../../database/entities/grant.ts';

/** Sets the expiry of a grant. Each change is a row, written at once. The caller holds the team's lock. */
export async function changeExpiry(
  em: EntityManager,
  grant: Grant,
  expiresAt: Date,
  { reason, now }: { reason: string; now: Date },
): Promise<void> {
  if (grant.expiresAt?.getTime() === expiresAt.getTime()) return;
  const { id, teamId, expiresAt: before } = grant;
  grant.expiresAt = expiresAt;
  // As SQL, because MikroORM would wait for the row's id.
  await em.execute(
    `insert into grant_expiry_changes (grant_id, team_id, from_expires_at, to_expires_at, reason, at)
     values (?, ?, ?, ?, ?, ?)`,
    [id, teamId, before, expiresAt, reason, now],
  );
}

/**
 * Credits that a won dispute or a reversed refund gives back after their expiry can be spent for another `lateLifeMs`
 * milliseconds from now.
 */
export async function giveLateLife(
  em: EntityManager,
  grant: Grant,
  lateLifeMs: number,
  now: Date,
): Promise<void> {
  if (!grant.expiresAt || grant.expiresAt > now) return;
  grant.livesUntil = new Date(now.getTime() + lateLifeMs);
  await changeExpiry(em, grant, grant.livesUntil, { reason: 'credits came back after their expiry', now });
}
