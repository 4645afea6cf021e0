import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { readCatalog } from '../catalog/versions.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import type { Team } from '../database/entities/team.ts';
import { isRefusal } from '../domain-error.ts';
import { applyPaidOrder } from '../ledger/lifecycle/apply-order.ts';
import { listSubscriptionOrders, type PolarOrder } from '../polar/events.ts';
import { isBefore } from '../polar/orders-since.ts';
import { assignedTeamOrder } from './assigned-event.ts';
import { type Fetching, type NeedsPolar, needsPolar } from './event-step.ts';
import { paidFactsOf } from './order-event.ts';
import { type PaidOrder, readPaidOrder } from './paid-order.ts';
import { rememberState, type SubscriptionState } from './subscription-event.ts';

/**
 * Reads a paid order of a subscription. If it is fetched from Polar, the earlier paid orders of its subscription are
 * applied first, because they show which cycles the subscription has.
 */
export async function readSubscriptionPayment(
  em: EntityManager,
  event: InboxEvent,
  fetching?: Fetching,
): Promise<PaidOrder | NeedsPolar> {
  const paid = await readPaidOrder(em, event, fetching);
  if (paid !== needsPolar && fetching && !paid.tooOld) await payEarlierOrders(event, fetching, paid);
  return paid;
}

/** Each order has its own transaction. If one is refused, its own event must settle it. */
async function payEarlierOrders(
  event: InboxEvent,
  { polar, database, withTeam }: Fetching,
  { order, subscription }: PaidOrder,
): Promise<void> {
  if (order.subscriptionId === null) return;
  const { ordersSince } = (await readCatalog(database)).catalog.policies;
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
