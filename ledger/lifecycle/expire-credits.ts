import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { Grant } from '../../database/entities/grant.ts';
import { moveCredits } from './move-credits.ts';

/**
 * Books what has expired: `available → expired` of every grant of the team whose expiry is not after `now`.
 * Nobody could spend those credits any more; this only writes it down. Held credits stay capturable.
 * The caller holds the team's lock and has read `now` after it.
 *
 * @returns micro-credits that were booked as expired
 */
export async function expireCredits(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  const due = await em.find(
    Grant,
    // The index of open grants: those that are used up grow with history.
    { teamId, [raw((alias) => `${alias}.open`)]: true, available: { $gt: 0n }, expiresAt: { $lte: now } },
    { orderBy: { id: 'asc' } },
  );
  let expired = 0n;
  for (const grant of due) {
    expired += grant.available;
    moveCredits(em, {
      grant,
      from: 'available',
      to: 'expired',
      amount: grant.available,
      kind: 'expire',
      reference: grant.businessKey,
      at: now,
    });
  }
  await em.flush();
  return expired;
}
