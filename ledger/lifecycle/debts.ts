import type { EntityManager } from '@mikro-orm/postgresql';
import { Debt } from '../../database/entities/debt.ts';
import { DebtChange } from '../../database/entities/debt-change.ts';
import { DebtPayment } from '../../database/entities/debt-payment.ts';
import { Grant } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { allocate } from '../rules/allocate.ts';
import { compareBurnOrder } from '../rules/burn-order.ts';
import { giveLateLife } from './change-expiry.ts';
import { moveCredits } from './move-credits.ts';

/**
 * Sets what is owed because it was spent before it was taken back. Where that is less than was settled, the difference goes
 * back to the grants that paid it. The caller holds the team's lock.
 *
 * @param lateLife  how long credits live that come back after their expiry, in milliseconds
 */
export async function setDebt(
  em: EntityManager,
  { teamId, key, lifetime, owed }: { teamId: string; key: string; lifetime: boolean; owed: bigint },
  { lateLife, now }: { lateLife: number; now: Date },
): Promise<void> {
  let debt = await em.findOne(Debt, { key });
  if (!debt) {
    if (owed === 0n) return;
    debt = em.create(Debt, { key, teamId, owed: 0n, settled: 0n, lifetime, createdAt: now });
    em.persist(debt);
  }
  if (debt.owed === owed) return;
  if (debt.settled > owed) await giveBackSettled(em, debt, debt.settled - owed, { lateLife, now });
  debt.owed = owed;
  (await em.findOneOrFail(Team, { id: teamId })).hasDebts = true; // until settling finds otherwise
  await em.flush();
  recordDebt(em, debt, now);
  await em.flush();
}

/**
 * Pays the team's debts, oldest first, from what it has, in burn order: `available → settled`. A subscription's
 * debt never takes lifetime credits, and what has expired pays nothing. The caller holds the team's lock.
 */
export async function settleDebts(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const team = await em.findOneOrFail(Team, { id: teamId });
  if (!team.hasDebts) return;
  const debts = await em.find(Debt, { teamId }, { orderBy: { createdAt: 'asc', key: 'asc' } });
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
    for (const { lot, credits } of draws) {
      const move = { from: 'available', to: 'settled', amount: credits, kind: 'settle' } as const;
      moveCredits(em, { grant: lot, ...move, reference: settlementReference(debt.key), at: now });
      const payment = { key: debt.key, grantId: lot.id };
      const known = await em.findOne(DebtPayment, payment);
      if (known) known.credits += credits;
      else em.persist(em.create(DebtPayment, { ...payment, credits }));
    }
    if (draws.length === 0) continue;
    debt.settled = debt.owed - short;
    recordDebt(em, debt, now);
  }
}

/** `settled → available`, in the reverse of the order in which the credits were taken. */
async function giveBackSettled(
  em: EntityManager,
  debt: Debt,
  amount: bigint,
  { lateLife, now }: { lateLife: number; now: Date },
): Promise<void> {
  const payments = await em.find(DebtPayment, { key: debt.key, credits: { $gt: 0n } });
  const paidBy = new Map(payments.map((payment) => [payment.grantId, payment]));
  const payers = (await em.find(Grant, { id: { $in: [...paidBy.keys()] } })).sort(compareBurnOrder).reverse();
  let left = amount;
  for (const grant of payers) {
    const payment = paidBy.get(grant.id);
    if (!payment) throw new Error(`the grant ${grant.id} has not paid the debt ${debt.key}`);
    const back = payment.credits < left ? payment.credits : left;
    if (back === 0n) break;
    const move = { from: 'settled', to: 'available', amount: back, kind: 'settle' } as const;
    moveCredits(em, { grant, ...move, reference: settlementReference(debt.key), at: now });
    payment.credits -= back;
    giveLateLife(em, grant, lateLife, now);
    left -= back;
  }
  if (left > 0n) throw new Error(`the debt ${debt.key} was settled by ${amount - left}, not by ${amount}`);
  debt.settled -= amount;
}

/** What the transfers that settle a debt carry. */
function settlementReference(key: string): string {
  return `debt:${key}`;
}

/** Keeps how the debt stands from `at` on. */
function recordDebt(em: EntityManager, { key, teamId, owed, settled }: Debt, at: Date): void {
  em.persist(em.create(DebtChange, { key, teamId, owed, settled, at }));
}
