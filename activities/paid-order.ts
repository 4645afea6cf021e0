import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { isBeforeAdoption } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError, isRefusal } from '../domain-error.ts';
import { retryParked } from '../inbox/inbox.ts';
import {
  applyPaidOrder,
  applyReversal,
  findOrder,
  type PaidOrderFacts,
} from '../ledger/lifecycle/apply-order.ts';
import { forfeitCredits } from '../ledger/lifecycle/forfeit-credits.ts';
import { listSubscriptionOrders, type PolarOrder } from '../polar/events.ts';
import { resolveProduct, unknownProduct } from '../polar/resolve-product.ts';
import { assignedTeamOrder, checkTeam } from '../polar/resolve-team.ts';
import {
  followMoney,
  type OrderEvent,
  type OrderState,
  readOrderEvent,
  readOrderWithLock,
  rememberMoney,
} from './follow-order.ts';
import { rememberState, type SubscriptionState } from './follow-subscription.ts';
import { type EventStep, type Fetching, type NeedsPolar, needsPolar } from './step.ts';

/**
 * A pack was paid: an `order.paid` without a subscription. It grants the credits that its checkout promised, once, and
 * they never expire.
 */
export const fulfillPurchase: EventStep<OrderEvent> = {
  readWithLock: readOrderWithLock,
  read: readPaidOrder,
  carryOut: grantPaidOrder,
  remember: rememberMoney,
};

/**
 * A cycle was paid: the `order.paid` of a subscription's first period, or of a renewal. Its line that begins a billing
 * period brings the plan's allotment and closes the earlier cycles of the subscription. Nothing else starts a cycle,
 * neither a new period nor a status that says active. The subscription's state in the order is stored first, because it
 * says which billing periods there are.
 */
export const startCycle: EventStep<OrderEvent> = {
  read: readSubscriptionPayment,
  carryOut: grantPaidOrder,
  remember: rememberMoney,
};

/**
 * A change of plan was billed: the `order.paid` of a `subscription_update`. Its debit line grants credits for the time on
 * the new plan, its credit line takes credits back for the time on the old plan. If a line begins a billing period, the
 * change also starts a cycle.
 */
export const changePlan: EventStep<OrderEvent> = startCycle;

function readPaidOrder(
  em: EntityManager,
  event: InboxEvent,
  fetching?: Fetching,
): Promise<OrderEvent | NeedsPolar> {
  return readOrderEvent(em, event, fetching, { pays: true });
}

/**
 * Reads a paid order of a subscription. If it is fetched from Polar, the earlier paid orders of its subscription are
 * applied first, because they show which cycles the subscription has.
 */
async function readSubscriptionPayment(
  em: EntityManager,
  event: InboxEvent,
  fetching?: Fetching,
): Promise<OrderEvent | NeedsPolar> {
  const paid = await readPaidOrder(em, event, fetching);
  if (paid !== needsPolar && fetching) await payEarlierOrders(event, fetching, paid);
  return paid;
}

/**
 * Grants the credits of a paid order. What was paid, a pack or lines of a subscription, is decided by the order itself.
 *
 * @returns what was done, as a sentence
 */
async function grantPaidOrder(em: EntityManager, team: Team, state: OrderEvent, now: Date): Promise<string> {
  const { order, statedAt, subscription } = state;
  const { policies } = (await readCatalog(em)).catalog;
  if (isBeforeAdoption(order.createdAt, policies))
    return `Recorded order ${order.id}: it was created before ordersSince, so nothing is granted`;
  // Polar does not call it paid (any more): nothing is granted, and its reversal counts.
  if (!order.paid) return followMoney(em, team, state, now);
  const sellsNothing = order.productId === null && order.productCatalogKey === null;
  if (sellsNothing) return parkWithoutProduct(em, team, order);
  const facts = await paidFactsOf(em, team, order, statedAt);
  // The order's own state shows the period in which it was created. The fetched one is the subscription's current
  // state.
  if (subscription?.fetched && order.subscription) {
    await rememberState(em, team, { ...order.subscription, fetched: false }, now);
  }
  if (subscription) await rememberState(em, team, subscription, now);
  if (team.deletedAt) return refuseDeletedTeam(em, team, facts, now);
  const did = await applyPaidOrder(em, facts, policies, now);
  if (facts.subscriptionId) await retryParked(em, team.id, ['cycle_not_granted']);
  return did;
}

/** A top-up of a customer's wallet at Polar has no product. Its money is parked for an operator until it is refunded. */
async function parkWithoutProduct(em: EntityManager, team: Team, order: OrderState): Promise<string> {
  await checkTeam(em, team, order.teamRef, order.subscriptionId);
  const known = await findOrder(em, order.id);
  const kept = order.paidAmount - (known?.refundedAmount ?? order.refundedAmount);
  if (kept <= 0n) return `Order ${order.id} has no product, and all of its money was returned`;
  throw new DomainError(
    'order_without_product',
    `Order ${order.id} has no product, like a top-up of the customer's wallet at Polar: it grants no credits. Refund it at Polar, or adjust the team's credits`,
  );
}

/** @throws DomainError `doubtful_team`, `order_with_seats`, `unknown_product` */
async function paidFactsOf(
  em: EntityManager,
  team: Team,
  order: OrderState,
  paidAt: Date,
): Promise<PaidOrderFacts> {
  await checkTeam(em, team, order.teamRef, order.subscriptionId);
  if (order.seats !== null && order.seats > 0) {
    throw new DomainError('order_with_seats', `Order ${order.id} has seats; our products have none`);
  }
  const product = await resolveProduct(em, order);
  if (product === null) throw unknownProduct(order);
  return { ...order, teamId: team.id, product, paidAt };
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

/** Each order has its own transaction. If one is refused, its own event must settle it. */
async function payEarlierOrders(
  event: InboxEvent,
  { polar, database, withTeam }: Fetching,
  { order, subscription }: OrderEvent,
): Promise<void> {
  if (order.subscriptionId === null) return;
  const { policies } = (await readCatalog(database)).catalog;
  if (isBeforeAdoption(order.createdAt, policies)) return;
  for (const earlier of await listEarlierPaid(polar, order, order.subscriptionId)) {
    if (isBeforeAdoption(earlier.createdAt, policies)) continue;
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
  const known = await findOrder(em, order.id);
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
