import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { expirySql, Grant } from '../../database/entities/grant.ts';
import { storeMessages } from '../../outbox/store-messages.ts';
import { planExpiry } from '../rules/plan-expiry.ts';
import { expiryMessage } from '../spend/announce.ts';
import { applyMoves } from './move-credits.ts';

/**
 * Expires what has expired: `available → expired` of every grant of the team whose expiry is not after `now`. Those
 * credits could no longer be spent before; this only writes the transfers. Held credits can still be captured. The
 * caller holds the team's lock and has read `now` after it.
 *
 * @returns the expired micro-credits
 */
export async function expireCredits(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  const due = await em.find(
    Grant,
    // The conditions of the index in burn order, so neither used up grants nor unexpired ones are read.
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
  if (moves.length > 0) await storeMessages(em, [expiryMessage(teamId, moves)], now);
  return moves.reduce((total, { amount }) => total + amount, 0n);
}
