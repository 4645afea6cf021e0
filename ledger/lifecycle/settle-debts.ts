import type { EntityManager } from '@mikro-orm/postgresql';
import { Debt } from '../../database/entities/debt.ts';
import { DebtChange } from '../../database/entities/debt-change.ts';
import { Grant } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { allocate } from '../rules/allocate.ts';
import { compareBurnOrder } from '../rules/burn-order.ts';
import { moveCredits } from './move-credits.ts';

/**
 * Pays the team's debts, oldest first, from what it has, in burn order: `available → settled`. A subscription's
 * debt never takes lifetime credits, and what has expired pays nothing. The caller holds the team's lock.
 */
export async function settleDebts(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const team = await em.findOneOrFail(Team, { id: teamId });
  if (!team.hasDebts) return;
  const debts = await em.find(Debt, { teamId }, { orderBy: { createdAt: 'asc', orderId: 'asc' } });
  const open = debts.filter((debt) => debt.owed > debt.settled);
  if (open.length > 0) await payDebts(em, teamId, open, now);
  team.hasDebts = open.some((debt) => debt.owed > debt.settled);
  await em.flush();
}

async function payDebts(em: EntityManager, teamId: string, debts: Debt[], now: Date): Promise<void> {
  const unspent = await em.find(Grant, { teamId, available: { $gt: 0n } });
  const lots = unspent.filter(({ expiresAt }) => !expiresAt || expiresAt > now).sort(compareBurnOrder);
  for (const debt of debts) {
    const payers = debt.lifetime ? lots : lots.filter((lot) => lot.expiresAt !== null);
    const { draws, short } = allocate(payers, debt.owed - debt.settled);
    const reference = settlementReference(debt.orderId);
    for (const { lot, credits } of draws) {
      moveCredits(em, {
        grant: lot,
        from: 'available',
        to: 'settled',
        amount: credits,
        kind: 'settle',
        reference,
        at: now,
      });
    }
    if (draws.length === 0) continue;
    debt.settled = debt.owed - short;
    recordDebt(em, debt, now);
  }
}

/** What the transfers that settle an order's debt carry. */
export function settlementReference(orderId: string): string {
  return `debt:${orderId}`;
}

/** Keeps how the debt stands from `at` on. */
export function recordDebt(em: EntityManager, debt: Debt, at: Date): void {
  em.persist(
    em.create(DebtChange, {
      orderId: debt.orderId,
      teamId: debt.teamId,
      owed: debt.owed,
      settled: debt.settled,
      at,
    }),
  );
}
