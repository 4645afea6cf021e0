import type { Lot } from './burn-order.ts';
import type { Move } from './grant.ts';

/**
 * Forfeits all credits of a deleted team. Its holds must be released, its expired credits expired and its debts
 * settled before.
 */
export function planForfeit(grants: readonly Lot[], teamId: string): Move[] {
  return grants
    .filter(({ available }) => available > 0n)
    .map(({ id, available }) => ({
      grantId: id,
      kind: 'forfeit',
      from: 'available',
      to: 'revoked',
      amount: available,
      reference: `team.deleted:${teamId}`,
    }));
}
