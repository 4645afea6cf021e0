import type { EntityManager } from '@mikro-orm/postgresql';
import type { Grant } from '../../database/entities/grant.ts';
import { expiryMessage, storeMessages } from '../../outbox/messages.ts';
import { planExpiry } from '../rules/grant.ts';
import { applyMoves, readExpiredGrants } from './team-grants.ts';

/**
 * Expires what has expired: `available → expired` of every grant of the team whose expiry is not after `now`. Those
 * credits could no longer be spent before; this only writes the transfers. Held credits can still be captured. The
 * caller holds the team's lock and has read `now` after it.
 *
 * @returns the expired micro-credits
 */
export async function expireCredits(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  return expireGrants(em, teamId, await readExpiredGrants(em, teamId, now), now);
}

/** As `expireCredits`, of these grants only. Those that have not expired stay as they are. */
export async function expireGrants(
  em: EntityManager,
  teamId: string,
  grants: readonly Grant[],
  now: Date,
): Promise<bigint> {
  const moves = planExpiry(grants, now).toSorted((a, b) => (a.grantId < b.grantId ? -1 : 1));
  await applyMoves(em, grants, moves, now);
  await em.flush();
  if (moves.length > 0) await storeMessages(em, [expiryMessage(teamId, moves)], now);
  return moves.reduce((total, { amount }) => total + amount, 0n);
}

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
