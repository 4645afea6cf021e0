import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { readCatalog } from '../catalog/versions.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError, isRefusal } from '../domain-error.ts';
import { retryParked } from '../inbox/inbox.ts';
import { applyPaidOrder, applyReversal, type PaidOrderFacts } from '../ledger/lifecycle/apply-order.ts';
import { forfeitCredits } from '../ledger/lifecycle/forfeit-credits.ts';
import { listSubscriptionOrders, type PolarOrder } from '../polar/events.ts';
import { isBefore } from '../polar/orders-since.ts';
import { assignedTeamOrder } from './assigned-event.ts';
import { checkTeam } from './check-team.ts';
import { type EventStep, type Fetching, needsPolar } from './event-step.ts';
import {
  followMoney,
  type OrderEvent,
  type OrderState,
  paidAmountOf,
  paidFactsOf,
  readOrderEvent,
  rememberMoney,
  withoutProduct,
} from './order-event.ts';
import { rememberState, type SubscriptionState } from './subscription-event.ts';

/** A paid order; `tooOld` if it was created before `ordersSince`. */
type PaidOrder = OrderEvent & { tooOld: boolean };

/** Grants the credits of a paid order. The steps below do the same, named after what was paid. */
const payment: EventStep<PaidOrder> = {
  async read(em, event, fetching) {
    const state = await readOrderEvent(em, event, fetching, { pays: true });
    if (state === needsPolar) return needsPolar;
    const { ordersSince } = (await readCatalog(em)).catalog.policies;
    const tooOld = isBefore(state.order, ordersSince);
    if (fetching && !tooOld) await payEarlierOrders(event, fetching, state, ordersSince);
    return { ...state, tooOld };
  },
  async carryOut(em, team, state, now) {
    const { order, tooOld } = state;
    if (tooOld) return `Recorded order ${order.id}: it was created before ordersSince, so nothing is granted`;
    return order.paid ? grantPaid(em, team, state, now) : followMoney(em, team, state, now);
  },
  remember: (em, team, { order }, code) => rememberMoney(em, team, order, code),
};

/** A pack was paid: its credits never expire. */
export const fulfillPurchase = payment;

/** A cycle of a subscription was paid, the first or a renewal: its allotment arrives, and closes the previous cycle. */
export const startCycle = payment;

/** A plan change was paid, or returned money: the cycle's credits follow its lines. */
export const changePlan = payment;

async function grantPaid(
  em: EntityManager,
  team: Team,
  { order, statedAt, subscription }: OrderEvent,
  now: Date,
): Promise<string> {
  const sellsNothing = order.productId === null && order.productCatalogKey === null;
  if (sellsNothing) return parkWithoutProduct(em, team, order);
  const { catalog } = await readCatalog(em);
  const facts = await paidFactsOf(em, team, order, statedAt);
  // The order's own state shows the period in which it was created. The fetched one is the subscription's current
  // state.
  if (subscription?.fetched && order.subscription) {
    await rememberState(em, team, { ...order.subscription, fetched: false }, now);
  }
  if (subscription) await rememberState(em, team, subscription, now);
  if (team.deletedAt) return refuseDeletedTeam(em, team, facts, now);
  const did = await applyPaidOrder(em, facts, catalog.policies, now);
  if (facts.subscriptionId) await retryParked(em, 'cycle_not_granted', team.id);
  return did;
}

/** Money for an order without a product is parked for an operator until it is refunded. */
async function parkWithoutProduct(em: EntityManager, team: Team, order: OrderState): Promise<string> {
  await checkTeam(em, team, order.teamRef);
  const known = await em.findOne(Order, { id: order.id });
  const kept = paidAmountOf(order) - (known?.refundedAmount ?? order.refundedAmount);
  if (kept <= 0n) return `Order ${order.id} has no product, and all of its money was returned`;
  throw new DomainError(
    withoutProduct,
    `Order ${order.id} has no product, like a top-up of the customer's wallet at Polar: it grants no credits. Refund it at Polar, or adjust the team's credits`,
  );
}

/** A deleted team is granted nothing. Money for it is parked for an operator until it is refunded. */
async function refuseDeletedTeam(
  em: EntityManager,
  team: Team,
  facts: PaidOrderFacts,
  now: Date,
): Promise<string> {
  const { catalog } = await readCatalog(em);
  const did = await applyReversal(em, facts, catalog.policies, now);
  await forfeitCredits(em, team, now);
  const { grantedAt, paidAmount, refundedAmount } = await em.findOneOrFail(Order, { id: facts.id });
  if (!grantedAt && paidAmount > refundedAmount) {
    throw new DomainError(
      'team_deleted',
      `Order ${facts.id} was paid for a team that is deleted: ${paidAmount - refundedAmount} of ${facts.currency}'s minor units came in and nothing is granted. Refund it at Polar`,
    );
  }
  return `${did}; the team is deleted`;
}

/**
 * Applies the earlier paid orders of the same subscription, each in its own transaction, because they show which
 * cycles it has. If one is refused, its own event must settle it.
 */
async function payEarlierOrders(
  event: InboxEvent,
  { polar, withTeam }: Fetching,
  { order, subscription }: OrderEvent,
  ordersSince: Parameters<typeof isBefore>[1],
): Promise<void> {
  if (order.subscriptionId === null) return;
  for (const earlier of await listEarlierPaid(polar, order, order.subscriptionId)) {
    if (isBefore(earlier, ordersSince)) continue;
    try {
      await withTeam((em, team, now) =>
        payEarlier(em, team, assignedTeamOrder(earlier, event), subscription, now),
      );
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
}

async function payEarlier(
  em: EntityManager,
  team: Team,
  order: PolarOrder,
  subscription: SubscriptionState | null,
  now: Date,
): Promise<void> {
  if (team.deletedAt) return;
  const known = await em.findOne(Order, { id: order.id });
  if (known?.grantedAt) return;
  const { catalog } = await readCatalog(em);
  for (const state of [order.subscription, subscription])
    if (state) await rememberState(em, team, { ...state, fetched: false }, now);
  await applyPaidOrder(em, await paidFactsOf(em, team, order, order.stateAt), catalog.policies, now);
}

/** Oldest first. */
async function listEarlierPaid(
  polar: Polar,
  order: PolarOrder,
  subscriptionId: string,
): Promise<PolarOrder[]> {
  const orders = await listSubscriptionOrders(polar, subscriptionId);
  return orders
    .filter((other) => other.paid && other.id !== order.id && other.createdAt <= order.createdAt)
    .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
}
