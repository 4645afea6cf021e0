import type { EntityManager } from '@mikro-orm/postgresql';
import { Grant } from '../database/entities/grant.ts';

/** The soonest expiry of credits that a team still has; null where nothing of it expires. In the past: not booked yet. */
export async function nextCreditExpiry(em: EntityManager, teamId: string): Promise<Date | null> {
  const [next] = await em.find(
    Grant,
    { teamId, available: { $gt: 0n }, expiresAt: { $ne: null } },
    { orderBy: { expiresAt: 'asc' }, limit: 1 },
  );
  return next?.expiresAt ?? null;
}
