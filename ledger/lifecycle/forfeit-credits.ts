import type { EntityManager } from '@mikro-orm/postgresql';
import { Grant } from '../../database/entities/grant.ts';
import { Hold } from '../../database/entities/hold.ts';
import { HoldDraw } from '../../database/entities/hold-draw.ts';
import { Limit } from '../../database/entities/limit.ts';
import type { Team } from '../../database/entities/team.ts';
import { settleDebts } from './debts.ts';
import { expireCredits } from './expire-credits.ts';
import { moveCredits } from './move-credits.ts';

/**
 * Takes a deleted team's credits out of the world: its open holds are released, what has expired is booked, what it owes
 * is paid, and the rest is forfeited (`available → revoked`). Its caps go. Doing it again changes nothing. The caller
 * holds the team's lock and has read `now` after it.
 *
 * @returns micro-credits that were forfeited by this call
 */
export async function forfeitCredits(em: EntityManager, team: Team, now: Date): Promise<bigint> {
  if (!team.deletedAt) throw new Error(`team ${team.id} lives: nothing of it is forfeited`);
  await releaseHolds(em, team.id, now);
  await expireCredits(em, team.id, now);
  await settleDebts(em, team.id, now);

  let forfeited = 0n;
  for (const grant of await em.find(Grant, { teamId: team.id, available: { $gt: 0n } })) {
    forfeited += grant.available;
    moveCredits(em, {
      grant,
      from: 'available',
      to: 'revoked',
      amount: grant.available,
      kind: 'forfeit',
      reference: `team.deleted:${team.id}`,
      at: now,
    });
  }
  await em.nativeDelete(Limit, { teamId: team.id });
  team.hasLimits = false;
  await em.flush();
  return forfeited;
}

/** Gives back what the team's open holds set aside. */
async function releaseHolds(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const holds = await em.find(Hold, { teamId, status: 'open' });
  const draws = await em.find(HoldDraw, { holdId: { $in: holds.map(({ id }) => id) } });
  const grants = await em.find(Grant, { id: { $in: draws.map(({ grantId }) => grantId) } });
  const byId = new Map(grants.map((grant) => [grant.id, grant]));
  for (const { holdId, grantId, credits } of draws) {
    const grant = byId.get(grantId);
    if (!grant) throw new Error(`hold ${holdId} draws on a grant ${grantId} that is not there`);
    moveCredits(em, {
      grant,
      from: 'held',
      to: 'available',
      amount: credits,
      kind: 'release',
      reference: `hold:${holdId}`,
      at: now,
    });
  }
  for (const hold of holds) hold.status = 'released';
  await em.flush();
}
