import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { expirySql, Grant } from '../../database/entities/grant.ts';
import { planExpiry } from '../rules/plan-expiry.ts';
import { applyMoves } from './move-credits.ts';

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
    // The conditions of the index in burn order: neither history nor what has not expired is read.
    {
      teamId,
      [raw((alias) => `${alias}.open`)]: true,
      [raw((alias) => expirySql(alias))]: { $lte: now },
      available: { $gt: 0n },
    },
    { orderBy: { id: 'asc' } },
  );
  const moves = planExpiry(due, now);
  applyMoves(em, due, moves, now);
  await em.flush();
  return moves.reduce((total, { amount }) => total + amount, 0n);
}
