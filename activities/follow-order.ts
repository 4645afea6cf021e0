import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { listCatalogVersions, readCatalog, readCatalogAt } from '../catalog/versions.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import { PolarProduct } from '../database/entities/polar-product.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import type { ErrorCode } from '../errors.ts';
import { retryParked } from '../inbox/inbox.ts';
import { applyReversal, findOrder, type OrderFacts, rememberOrder } from '../ledger/lifecycle/apply-order.ts';
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
import { findSyncedProduct, plansOf, resolveProduct } from '../polar/resolve-product.ts';
import { assignedOrder, assignedSubscription, checkTeam } from '../polar/resolve-team.ts';
import {
  endForDeletedTeam,
  fetchState,
  followState,
  outlivesTeam,
  type SubscriptionState,
} from './follow-subscription.ts';
import { type EventStep, type Fetching, type NeedsPolar, needsPolar } from './step.ts';

/** An order, and its disputed amount if that was fetched. */
export type OrderState = PolarOrder & { disputedAmount?: bigint };

/** An order from an event, or as it was just fetched, with its subscription's state. */
export interface OrderEvent {
  order: OrderState;
  /** Polar's time of this state. */
  statedAt: Date;
  subscription: SubscriptionState | null;
}

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

/**
 * Reads the changed order. A refund or a dispute names only its order, so the order's current state is fetched, and the
 * amount on the event is ignored.
 */
async function readChangedOrder(
  em: EntityManager,
  event: InboxEvent,
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
  event: InboxEvent,
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
export async function readOrderEvent(
  em: EntityManager,
  event: InboxEvent,
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
export async function readOrderWithLock(
  em: EntityManager,
  inboxId: string,
  event: Promise<InboxEvent | null>,
): Promise<void> {
  const [stored, [order], [product]] = await Promise.all([
    event,
    em.execute<object[]>(
      `select o.* from inbox join orders o on o.id = payload->'data'->>'id' where inbox.id = ?`,
      [inboxId],
    ),
    em.execute<object[]>(
      `select p.* from inbox join polar_products p on polar_product_id = payload->'data'->>'product_id'
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
 * Moves the clawback to the order's money. A known order needs neither its product nor its subscription.
 * @returns what was done, as a sentence
 */
export async function followMoney(
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
export async function rememberMoney(
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
