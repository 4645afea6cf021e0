import type { EntityManager } from '@mikro-orm/postgresql';
import { Grant } from '../../database/entities/grant.ts';
import { Hold } from '../../database/entities/hold.ts';
import { HoldDraw } from '../../database/entities/hold-draw.ts';
import { Limit } from '../../database/entities/limit.ts';
import type { Team } from '../../database/entities/team.ts';
import { planForfeit } from '../rules/grant.ts';
import { planRelease } from '../rules/plan-release.ts';
import { forgiveDebts, readOwed, settleDebts } from './debts.ts';
import { expireCredits } from './expire-credits.ts';
import { applyMoves } from './team-grants.ts';

/**
 * Takes all credits of a deleted team: releases its open holds, expires what has expired, settles its debts, and
 * forfeits the rest (`available → revoked`). Removes its limits. A repetition changes nothing. The caller holds the
 * team's lock and has read `now` after it.
 *
 * @returns the micro-credits that this call forfeited
 */
export async function forfeitCredits(em: EntityManager, team: Team, now: Date): Promise<bigint> {
  if (!team.deletedAt) throw new Error(`team ${team.id} must be deleted before its credits are forfeited`);
  await releaseHolds(em, team.id, now);
  await expireCredits(em, team.id, now);
  await settleDebts(em, team.id, now);

  const grants = await em.find(Grant, { teamId: team.id, available: { $gt: 0n } });
  const moves = planForfeit(grants, team.id);
  await applyMoves(em, grants, moves, now);
  await em.nativeDelete(Limit, { teamId: team.id });
  team.hasLimits = false;
  await em.flush();
  return moves.reduce((total, { amount }) => total + amount, 0n);
}

/** Releases the team's open holds in the same way as the hot path does. */
async function releaseHolds(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const holds = await em.find(Hold, { teamId, status: 'open' });
  const draws = await em.find(HoldDraw, { holdId: { $in: holds.map(({ id }) => id) } });
  const grants = await em.find(Grant, { id: { $in: draws.map(({ grantId }) => grantId) } });
  const byId = new Map(grants.map((grant) => [grant.id, grant]));
  const drawsOf = Map.groupBy(draws, ({ holdId }) => holdId);
  for (const hold of holds) {
    const parts = (drawsOf.get(hold.id) ?? []).map(({ grantId, credits }) => {
      const grant = byId.get(grantId);
      if (!grant) throw new Error(`hold ${hold.id} draws on grant ${grantId}, which does not exist`);
      return { grantId, debtKey: grant.debtKey, expiresAt: grant.expiresAt, credits };
    });
    const { moves, forgiven } = planRelease(hold.id, parts, await readOwed(em, teamId), now);
    await applyMoves(em, grants, moves, now);
    await forgiveDebts(em, forgiven, now);
    hold.status = 'released';
  }
  await em.flush();
}
