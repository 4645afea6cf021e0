import type { EntityManager } from '@mikro-orm/postgresql';
import type { Grant } from '../../database/entities/grant.ts';
import { type Account, Transfer, type TransferKind } from '../../database/entities/transfer.ts';

export interface Move {
  grant: Grant;
  from: Account;
  to: Exclude<Account, 'issued'>;
  /** Micro-credits; > 0. */
  amount: bigint;
  kind: TransferKind;
  /** The business key or id of what caused it. */
  reference: string;
  /** Of an adjustment that names the order which paid for the grant: it counts as taken back, not as used. */
  givesUp?: boolean;
  at: Date;
}

/**
 * Moves credits between two accounts of a grant: one transfer row and the grant's two columns, together, so that
 * each column stays the sum of its transfers. The caller holds the team's lock.
 */
export function moveCredits(
  em: EntityManager,
  { grant, from, to, amount, kind, reference, givesUp = false, at }: Move,
): void {
  if (amount <= 0n) throw new Error(`a transfer moves more than ${amount} micro-credits`);
  if (from !== 'issued') {
    if (grant[from] < amount) throw new Error(`grant ${grant.id} has ${grant[from]} ${from}, not ${amount}`);
    grant[from] -= amount;
  }
  grant[to] += amount;
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
