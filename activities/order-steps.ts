import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { isBeforeAdoption } from '../catalog/schema.ts';
import { listCatalogVersions, readCatalog, readCatalogAt } from '../catalog/versions.ts';
import { listColumns } from '../database/connection.ts';
import { Order } from '../database/entities/order.ts';
import { PolarProduct } from '../database/entities/polar-product.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import type { ErrorCode } from '../errors.ts';
import { retryParked } from '../inbox/inbox.ts';
import {
  applyPaidOrder,
  applyReversal,
  findOrder,
  type OrderFacts,
  type PaidOrderFacts,
  rememberOrder,
} from '../ledger/lifecycle/apply-order.ts';
import { findPeriod, findSubscription } from '../ledger/lifecycle/apply-subscription.ts';
import { forfeitCredits } from '../ledger/lifecycle/forfeit-credits.ts';
import { fetchDisputedAmounts } from '../polar/disputed-amounts.ts';
import {
  dataOf,
  fetchOrder,
  type PolarOrder,
  readDispute,
  readOrder,
  readRefund,
  subjectOf,
} from '../polar/events.ts';
import { findSyncedProduct, plansOf, resolveProduct, unknownProduct } from '../polar/resolve-product.ts';
import { assignedOrder, assignedSubscription, checkTeam } from '../polar/resolve-team.ts';
import { payEarlierOrders } from './earlier-orders.ts';
import {
  endForDeletedTeam,
  fetchState,
  followState,
  outlivesTeam,
  rememberState,
  type SubscriptionState,
} from './follow-subscription.ts';
import { type EventStep, type Fetching, type NeedsPolar, needsPolar, type StoredEvent } from './step.ts';

/** An order, and its disputed amount if that was fetched. */
type OrderState = PolarOrder & { disputedAmount?: bigint };

/** An order from an event, or as it was just fetched, with its subscription's state. */
export interface OrderEvent {
  order: OrderState;
  /** Polar's time of this state. */
  statedAt: Date;
  subscription: SubscriptionState | null;
}

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

/** An order's money or state changed at Polar: its clawback follows. This grants nothing: only `order.paid` does. */
export const followOrder: EventStep<OrderEvent> = {
  read: readChangedOrder,
  carryOut: followMoney,
  remember: rememberMoney,
};

/**
 * Money of an order was refunded, is disputed, or came back: its credits are taken or given back, up to the cumulative
 * target. The same step as `followOrder`, with a name of its own for operators.
 */
export const clawBackOrder: EventStep<OrderEvent> = followOrder;

function readPaidOrder(
  em: EntityManager,
  event: StoredEvent,
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
  event: StoredEvent,
  fetching?: Fetching,
): Promise<OrderEvent | NeedsPolar> {
  const paid = await readPaidOrder(em, event, fetching);
  if (paid !== needsPolar && fetching)
    await payEarlierOrders(event, fetching, paid.order, (em, team, earlier, now) =>
      grantEarlierOrder(em, team, earlier, paid.subscription, now),
    );
  return paid;
}

/**
 * Reads the changed order. A refund or a dispute names only its order, so the order's current state is fetched, and the
 * amount on the event is ignored.
 */
async function readChangedOrder(
  em: EntityManager,
  event: StoredEvent,
  fetching?: Fetching,
): Promise<OrderEvent | NeedsPolar> {
  const data = dataOf(event.payload);
  switch (subjectOf(event.type)) {
    case 'refund': {
      const { orderId, dispute } = readRefund(data);
      return fetching ? fetchMoney(event, orderId, { disputed: dispute !== null }, fetching) : needsPolar;
    }
    case 'dispute': {
      const { orderId } = readDispute(data);
      return fetching ? fetchMoney(event, orderId, { disputed: true }, fetching) : needsPolar;
    }
    default:
      return readOrderEvent(em, event, fetching, { pays: false });
  }
}

async function fetchMoney(
  event: StoredEvent,
  orderId: string,
  { disputed }: { disputed: boolean },
  { polar }: Fetching,
): Promise<OrderEvent> {
  const order: OrderState = assignedOrder(await fetchOrder(polar, orderId), event);
  if (disputed) {
    const found = (await fetchDisputedAmounts(polar, [orderId])).get(orderId);
    if (found instanceof DomainError) throw found;
    order.disputedAmount = found?.amount ?? 0n;
  }
  return { order, statedAt: event.occurredAt, subscription: null };
}

/**
 * Reads an order and its subscription.
 * @param pays  whether the event reports the order's payment
 */
async function readOrderEvent(
  em: EntityManager,
  event: StoredEvent,
  fetching: Fetching | undefined,
  { pays }: { pays: boolean },
): Promise<OrderEvent | NeedsPolar> {
  const order = assignedOrder(readOrder(dataOf(event.payload)), event);
  const { subscription, subscriptionId } = order;
  const statedAt = event.occurredAt;
  // An end expires credits at once, and Polar can reinstate. So the current state is fetched first.
  const ended = subscription !== null && subscription.endedAt !== null;
  const [tied, known, outlives] = await Promise.all([
    isTiedOrder(em, order),
    // If the subscription's own events are lost, its billing periods are not known.
    !pays || subscription !== null || subscriptionId === null || findSubscription(em, subscriptionId),
    subscription !== null && outlivesTeam(em, event, subscription),
    fetching ? null : readAhead(em, order, { pays }),
  ]);
  if (!fetching) {
    if (ended || tied || !known || outlives) return needsPolar;
    return { order, statedAt, subscription: subscription && { ...subscription, fetched: false } };
  }
  const { polar } = fetching;
  if (outlives && subscription) await endForDeletedTeam(fetching, event, subscription);
  return {
    order: tied ? assignedOrder(await fetchOrder(polar, order.id), event) : order,
    statedAt,
    subscription:
      subscriptionId === null ? null : assignedSubscription(await fetchState(polar, subscriptionId), event),
  };
}

/**
 * Reads the stored order, its product and the versions of the catalog. The statements take the ids from the event's row,
 * because they are sent before its payload is here.
 */
async function readOrderWithLock(
  em: EntityManager,
  inboxId: string,
  event: Promise<StoredEvent | null>,
): Promise<void> {
  const [stored, [order], [product]] = await Promise.all([
    event,
    em.execute<object[]>(
      `select ${listColumns(em, Order, 'o')} from inbox join orders o on o.id = payload->'data'->>'id' where inbox.id = ?`,
      [inboxId],
    ),
    em.execute<object[]>(
      `select ${listColumns(em, PolarProduct, 'p')}
         from inbox join polar_products p on polar_product_id = payload->'data'->>'product_id'
        where inbox.id = ?`,
      [inboxId],
    ),
    listCatalogVersions(em),
  ]);
  const ids = idsSchema.safeParse(dataOf(stored?.payload)).data;
  if (ids) findOrder.keep(em, order ? em.map(Order, order) : null, ids.id);
  if (ids?.product_id)
    findSyncedProduct.keep(em, product ? em.map(PolarProduct, product) : null, ids.product_id);
}

const idsSchema = z.object({ id: z.string(), product_id: z.string().nullish() });

/** Sends what the step reads later in its transaction, so that it waits once for all of it. */
async function readAhead(em: EntityManager, order: PolarOrder, { pays }: { pays: boolean }): Promise<void> {
  const { subscription, checkoutCatalogVersion, createdAt } = order;
  await Promise.all([
    pays && resolveProduct(em, order),
    pays && checkoutCatalogVersion === null && readCatalogAt(em, createdAt),
    subscription && plansOf(em, subscription),
    subscription && findSubscription(em, subscription.id),
    subscription && findPeriod(em, subscription.id, subscription.currentPeriodStart),
  ]);
}

/** Whether two states of the same time differ in the order's money: only Polar knows the newer one. */
async function isTiedOrder(em: EntityManager, order: PolarOrder): Promise<boolean> {
  const known = await findOrder(em, order.id);
  return (
    known?.stateAt.getTime() === order.stateAt.getTime() && known.refundedAmount !== order.refundedAmount
  );
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

async function grantEarlierOrder(
  em: EntityManager,
  team: Team,
  order: PolarOrder,
  subscription: SubscriptionState | null,
  now: Date,
): Promise<void> {
  const { policies } = (await readCatalog(em)).catalog;
  for (const state of [order.subscription, subscription])
    if (state) await rememberState(em, team, { ...state, fetched: false }, now);
  await applyPaidOrder(em, await paidFactsOf(em, team, order, order.stateAt), policies, now);
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

/**
 * Moves the clawback to the order's money. A known order needs neither its product nor its subscription.
 * @returns what was done, as a sentence
 */
async function followMoney(
  em: EntityManager,
  team: Team,
  { order, subscription }: OrderEvent,
  now: Date,
): Promise<string> {
  const { policies } = (await readCatalog(em)).catalog;
  const known = await findOrder(em, order.id);
  if (known === null || known.teamId !== team.id)
    await checkTeam(em, team, order.teamRef, order.subscriptionId);
  else if (subscription && (await plansOf(em, subscription)).plan !== null)
    await followState(em, team, subscription, now);
  const product = known ? known.product : await resolveProduct(em, order);
  const did = await applyReversal(em, factsOf(team, order, product), policies, now);
  if (order.refundedAmount > 0n) await retryParked(em, team.id, worthRemembering);
  if (!team.deletedAt) return did;
  await forfeitCredits(em, team, now);
  return `${did}; the team is deleted`;
}

/** Stores a parked payment, so that its refund finds it. */
async function rememberMoney(
  em: EntityManager,
  team: Team,
  { order }: OrderEvent,
  code: ErrorCode,
): Promise<void> {
  if (!worthRemembering.includes(code)) return;
  const known = await findOrder(em, order.id);
  const isGrantedElsewhere = known !== null && known.grantedAt !== null && known.teamId !== team.id;
  if (isGrantedElsewhere) return;
  await rememberOrder(em, factsOf(team, order, await resolveProduct(em, order)));
}

function factsOf(team: Team, order: OrderState, product: string | null): OrderFacts {
  return { ...order, teamId: team.id, product };
}

/**
 * Codes of a parked payment that certainly belongs to the team. It ends when its money is refunded, so a refund must
 * find it.
 */
const worthRemembering: readonly ErrorCode[] = [
  'order_without_product',
  'team_deleted',
  'money_without_credits',
  'cycle_not_granted',
];
