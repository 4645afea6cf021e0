import type { EntityManager } from '@mikro-orm/postgresql';
import type { Grant } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { type Account, Transfer, type TransferKind } from '../../database/entities/transfer.ts';
import { type Move, moveBetween } from '../rules/move.ts';

interface MoveOfGrant {
  grant: Grant;
  from: Account;
  to: Exclude<Account, 'issued'>;
  /** Micro-credits; > 0. */
  amount: bigint;
  kind: TransferKind;
  /** The business key or id of its cause. */
  reference: string;
  /** For an adjustment that names the order which paid for the grant: it counts as taken back, not as used. */
  givesUp?: boolean;
  at: Date;
}

/**
 * Moves credits between two accounts of a grant: writes one transfer and the grant's two columns together, so that
 * each column stays the sum of its transfers. The caller holds the team's lock.
 */
export function moveCredits(
  em: EntityManager,
  { grant, from, to, amount, kind, reference, givesUp = false, at }: MoveOfGrant,
): void {
  moveBetween(grant, { from, to, amount });
  if (to === 'available' && from !== 'held') em.getReference(Team, grant.teamId).creditsCameIn = true;
  if (kind === 'adjust' && !givesUp) grant.adjusted += amount;
  if (kind === 'forfeit' || givesUp) grant.writtenOff += amount;
  em.persist(
    em.create(Transfer, {
      teamId: grant.teamId,
      at,
      grantId: grant.id,
      kind,
      fromAccount: from,
      toAccount: to,
      amount,
      usageEventId: null,
      reference,
    }),
  );
}

/**
 * Executes the moves of a plan. The caller holds the team's lock.
 * @param grants  the grants from which the plan was made
 */
export function applyMoves(
  em: EntityManager,
  grants: readonly Grant[],
  moves: readonly Move[],
  at: Date,
): void {
  const byId = new Map(grants.map((grant) => [grant.id, grant]));
  for (const { grantId, ...move } of moves) {
    const grant = byId.get(grantId);
    if (!grant) throw new Error(`a plan moves credits of grant ${grantId}, which was not passed to it`);
    moveCredits(em, { grant, ...move, at });
  }
}
