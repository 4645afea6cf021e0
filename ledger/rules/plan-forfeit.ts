import type { Lot } from './allocate.ts';
import type { Move } from './move.ts';

/** Takes all that a deleted team has left. Before that its holds are released, its expiries booked and its debts settled. */
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
