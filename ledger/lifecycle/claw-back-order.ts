import type { EntityManager } from '@mikro-orm/postgresql';
import { Debt } from '../../database/entities/debt.ts';
import { Grant } from '../../database/entities/grant.ts';
import type { Order } from '../../database/entities/order.ts';
import { Team } from '../../database/entities/team.ts';
import { Transfer } from '../../database/entities/transfer.ts';
import { compareBurnOrder } from '../rules/burn-order.ts';
import { planClawback } from '../rules/plan-clawback.ts';
import { expireCredits } from './expire-credits.ts';
import { moveCredits } from './move-credits.ts';
import { recordDebt, settleDebts, settlementReference } from './settle-debts.ts';

/**
 * Brings an order's clawback to its cumulative target: revokes what is available, keeps the rest as a debt and
 * settles that at once from the team's other credits; gives back where a reversal lowered the target. Doing it
 * again changes nothing. The caller holds the team's lock and has read `now` after it.
 *
 * @returns micro-credits that are revoked of the order's grants, and what is still owed after settling
 */
export async function clawBackOrder(
  em: EntityManager,
  order: Order,
  now: Date,
): Promise<{ revoked: bigint; outstanding: bigint }> {
  const grants = await em.find(Grant, { orderId: order.id });
  const unpaid = order.refundedAmount + order.disputedAmount;
  const known = await em.findOne(Debt, { orderId: order.id });
  // Most orders are never refunded, and were not: there is nothing to take, nothing to give back.
  if (unpaid === 0n && grants.every(({ revoked }) => revoked === 0n) && !known) {
    return { revoked: 0n, outstanding: 0n };
  }
  await expireCredits(em, order.teamId, now);
  const reference = `order:${order.id}`;
  const taken = await takenByHand(em, order.teamId, grants);
  const plan = planClawback(
    // What an adjustment or the team's deletion took is gone as what expired is: it counts, and no reversal gives it back.
    grants.map(
      ({ id, source, businessKey, effectiveAt, expiresAt, granted, available, expired, revoked }) => {
        const gone = taken.get(id) ?? 0n;
        const column = { granted, available, expired: expired + gone, revoked: revoked - gone };
        return { id, source, businessKey, effectiveAt, expiresAt, ...column };
      },
    ),
    order.paidAmount,
    unpaid,
    known?.settled ?? 0n,
  );

  const byId = new Map(grants.map((grant) => [grant.id, grant]));
  for (const [draws, from, to] of [
    [plan.revoke, 'available', 'revoked'],
    [plan.restore, 'revoked', 'available'],
  ] as const) {
    for (const { lot, credits } of draws) {
      const grant = byId.get(lot.id);
      if (grant) moveCredits(em, { grant, from, to, amount: credits, kind: 'clawback', reference, at: now });
    }
  }
  await em.flush();
  await setDebt(em, order, plan.owed, now);
  await expireCredits(em, order.teamId, now);
  await settleDebts(em, order.teamId, now);

  const debt = await em.findOne(Debt, { orderId: order.id });
  return {
    revoked: grants.reduce((total, { id, revoked }) => total + revoked - (taken.get(id) ?? 0n), 0n),
    outstanding: debt ? debt.owed - debt.settled : 0n,
  };
}

/** Micro-credits that were taken from these grants by hand or forfeited, by grant: revoked too, but not by the order. */
async function takenByHand(
  em: EntityManager,
  teamId: string,
  grants: readonly Grant[],
): Promise<Map<string, bigint>> {
  const ids = grants.filter(({ revoked }) => revoked > 0n).map(({ id }) => id);
  const taken = new Map<string, bigint>();
  if (ids.length === 0) return taken;
  for (const { grantId, amount } of await em.find(Transfer, {
    teamId,
    grantId: { $in: ids },
    kind: { $in: ['adjust', 'forfeit'] },
  })) {
    taken.set(grantId, (taken.get(grantId) ?? 0n) + amount);
  }
  return taken;
}

async function setDebt(em: EntityManager, order: Order, owed: bigint, now: Date): Promise<void> {
  let debt = await em.findOne(Debt, { orderId: order.id });
  if (!debt) {
    if (owed === 0n) return;
    debt = em.create(Debt, {
      orderId: order.id,
      teamId: order.teamId,
      owed: 0n,
      settled: 0n,
      lifetime: order.subscriptionId === null,
      createdAt: now,
    });
    em.persist(debt);
  }
  if (debt.owed === owed) return;
  if (debt.settled > owed) await giveBackSettled(em, debt, debt.settled - owed, now);
  debt.owed = owed;
  (await em.findOneOrFail(Team, { id: order.teamId })).hasDebts = true; // until settling finds otherwise
  await em.flush();
  recordDebt(em, debt, now);
  await em.flush();
}

/** `settled → available`, in the reverse of the order in which the credits were taken. */
async function giveBackSettled(em: EntityManager, debt: Debt, amount: bigint, now: Date): Promise<void> {
  const reference = settlementReference(debt.orderId);
  const transfers = await em.find(Transfer, { teamId: debt.teamId, reference });
  const paidBy = new Map<string, bigint>();
  for (const { grantId, toAccount, amount: moved } of transfers) {
    paidBy.set(grantId, (paidBy.get(grantId) ?? 0n) + (toAccount === 'settled' ? moved : -moved));
  }
  const payers = (await em.find(Grant, { id: { $in: [...paidBy.keys()] } })).sort(compareBurnOrder).reverse();
  let left = amount;
  for (const grant of payers) {
    const paid = paidBy.get(grant.id) ?? 0n;
    const back = paid < left ? paid : left;
    if (back === 0n) continue;
    moveCredits(em, {
      grant,
      from: 'settled',
      to: 'available',
      amount: back,
      kind: 'settle',
      reference,
      at: now,
    });
    left -= back;
  }
  debt.settled -= amount;
}
