import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import { isStanding, Subscription } from '../database/entities/subscription.ts';
import { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import { isSameState } from '../ledger/lifecycle/apply-subscription.ts';
import { fetchDisputedAmounts } from '../polar/disputed-amounts.ts';
import { endSubscriptions } from '../polar/end-subscriptions.ts';
import {
  dataOf,
  fetchOrder,
  fetchSubscription,
  listSubscriptionOrders,
  type PolarOrder,
  type PolarSubscription,
  readCustomer,
  readDispute,
  readOrder,
  readRefund,
  readSubscription,
  subjectOf,
} from '../polar/events.ts';
import { plansOf } from '../polar/resolve-product.ts';
import { syncCustomerName } from '../polar/sync-customer-name.ts';
import { syncMembers } from '../polar/sync-members.ts';

/** What an event says, read; with what only Polar could add, where it was asked. */
export type Heard =
  | {
      kind: 'order';
      order: HeardOrder;
      /** When the event said so. */
      saidAt: Date;
      /** Whether this is the event that grants. */
      mayGrant: boolean;
      /** Paid orders of the same subscription that came before, oldest first: they say which cycles it has. */
      earlier: { order: HeardOrder; saidAt: Date }[];
      subscription: HeardSubscription | null;
    }
  | { kind: 'subscription'; subscription: HeardSubscription }
  | { kind: 'customer deleted'; customerId: string }
  /** Polar charges the team no more. */
  | { kind: 'team deleted' }
  | { kind: 'nothing'; outcome: string }
  /** Only Polar can settle what is to be done. */
  | { kind: 'ask Polar' };

/** An order, and where Polar was asked about it what is disputed. */
export type HeardOrder = PolarOrder & { disputedAmount?: bigint };

/** A subscription as the event has it, or as Polar has it now (`asked`). */
export type HeardSubscription = PolarSubscription & { asked: boolean };

/** What it takes to ask Polar, and to bring it in line with us: never within a transaction. */
export interface Asking {
  polar: Polar;
  database: Database;
}

/**
 * Reads a stored event. Polar is asked, where it may be, about what a payload alone cannot settle.
 * @throws DomainError `unreadable_event`; as `callPolar`
 */
export async function hearEvent(em: EntityManager, event: InboxEvent, asking?: Asking): Promise<Heard> {
  const polar = asking?.polar;
  if (event.source !== 'polar') return hearOurs(em, event, asking);
  const data = dataOf(event.payload);
  switch (subjectOf(event.type)) {
    case 'order':
      return hearOrder(em, readOrder(data), event, asking);
    case 'refund': {
      // A refund tells its own amount; the clawback goes by the order's cumulative one.
      const { orderId, dispute } = readRefund(data);
      return hearMoneyBack(event, orderId, { disputed: dispute !== null }, polar);
    }
    case 'dispute':
      return hearMoneyBack(event, readDispute(data).orderId, { disputed: true }, polar);
    case 'subscription':
      return hearSubscription(em, event, readSubscription(data), asking);
    case 'customer':
      return { kind: 'customer deleted', customerId: readCustomer(data).id };
    case 'member':
      return hearMembers(em, event, asking);
    case 'unused':
      return { kind: 'nothing', outcome: 'Nothing of billing changes by this' };
  }
}

/** What was asked for or done on our side. Polar is brought in line before anything of it is written down here. */
async function hearOurs(em: EntityManager, event: InboxEvent, asking?: Asking): Promise<Heard> {
  switch (event.type) {
    case 'members.changed':
      return hearMembers(em, event, asking);
    case 'team.renamed': {
      const { id } = await teamOf(em, event);
      if (!asking) return { kind: 'ask Polar' };
      return { kind: 'nothing', outcome: await syncCustomerName(asking.polar, asking.database, id) };
    }
    case 'team.deleted': {
      const { id } = await teamOf(em, event);
      if (!asking) return { kind: 'ask Polar' };
      await endSubscriptions(asking.polar, asking.database, id);
      await syncMembers(asking.polar, asking.database, id);
      return { kind: 'team deleted' };
    }
    default:
      return { kind: 'nothing', outcome: 'The team’s workflow runs' };
  }
}

/** Roles changed, here or at Polar behind our back: ours decide who may act for the team there. */
async function hearMembers(em: EntityManager, event: InboxEvent, asking?: Asking): Promise<Heard> {
  const team = await teamOf(em, event);
  // What an erased customer's members do any more is of no interest.
  if (team.polarCustomerId === null || (team.deletedAt && event.source === 'polar'))
    return { kind: 'nothing', outcome: 'The team has no customer at Polar' };
  if (!asking) return { kind: 'ask Polar' };
  return { kind: 'nothing', outcome: await syncMembers(asking.polar, asking.database, team.id) };
}

async function teamOf(em: EntityManager, { id, teamId }: InboxEvent): Promise<Team> {
  if (teamId === null) throw new Error(`the inbox row ${id} is of no team`);
  return em.findOneOrFail(Team, { id: teamId });
}

/** The order's state of now says how much of it is un-paid, whatever the refund or the dispute says of itself. */
async function hearMoneyBack(
  { occurredAt: saidAt }: InboxEvent,
  orderId: string,
  { disputed }: { disputed: boolean },
  polar: Polar | undefined,
): Promise<Heard> {
  if (!polar) return { kind: 'ask Polar' };
  const order: HeardOrder = await fetchOrder(polar, orderId);
  if (disputed) {
    const found = (await fetchDisputedAmounts(polar, [orderId])).get(orderId);
    if (found instanceof DomainError) throw found;
    order.disputedAmount = found?.amount ?? 0n;
  }
  return { kind: 'order', order, saidAt, mayGrant: false, earlier: [], subscription: null };
}

async function hearOrder(
  em: EntityManager,
  order: PolarOrder,
  event: InboxEvent,
  asking: Asking | undefined,
): Promise<Heard> {
  const { type, occurredAt } = event;
  const polar = asking?.polar;
  const mayGrant = type === 'order.paid';
  const { subscription, subscriptionId } = order;
  // An end takes credits away at once, and a reinstated subscription exists: Polar's current state decides.
  const ended = subscription !== null && subscription.endedAt !== null;
  const tied = await isTiedOrder(em, order);
  const unknown =
    mayGrant && subscription === null && subscriptionId !== null && !(await isKnown(em, subscriptionId));
  // Its own events may be lost, and the mirror that this order brings would look as if nothing were left to do.
  const outlives = subscription !== null && (await outlivesTeam(em, event, subscription));
  if (!polar) {
    if (ended || tied || unknown || outlives) return { kind: 'ask Polar' };
    const current = subscription && { ...subscription, asked: false };
    return { kind: 'order', order, saidAt: occurredAt, mayGrant, earlier: [], subscription: current };
  }
  if (outlives && asking) await endForDeletedTeam(asking, event, subscription);
  return {
    kind: 'order',
    order: tied ? await fetchOrder(polar, order.id) : order,
    saidAt: occurredAt,
    mayGrant,
    earlier: mayGrant && subscriptionId !== null ? await paidBefore(polar, order, subscriptionId) : [],
    subscription: subscriptionId === null ? null : await askSubscription(polar, subscriptionId),
  };
}

async function isKnown(em: EntityManager, subscriptionId: string): Promise<boolean> {
  return (await em.findOne(Subscription, { id: subscriptionId })) !== null;
}

async function hearSubscription(
  em: EntityManager,
  event: InboxEvent,
  subscription: PolarSubscription,
  asking: Asking | undefined,
): Promise<Heard> {
  const polar = asking?.polar;
  const ended = subscription.endedAt !== null;
  const outlives = await outlivesTeam(em, event, subscription);
  if (!ended && !outlives && !(await isTied(em, subscription))) {
    return { kind: 'subscription', subscription: { ...subscription, asked: false } };
  }
  if (!asking || !polar) return { kind: 'ask Polar' };
  if (outlives) await endForDeletedTeam(asking, event, subscription);
  return { kind: 'subscription', subscription: await askSubscription(polar, subscription.id) };
}

/** A checkout that was open when the team was deleted may still be paid. */
async function outlivesTeam(
  em: EntityManager,
  event: InboxEvent,
  subscription: PolarSubscription,
): Promise<boolean> {
  return isStanding(subscription) && (await teamOf(em, event)).deletedAt !== null;
}

async function endForDeletedTeam(
  { polar, database }: Asking,
  { teamId }: InboxEvent,
  { id }: PolarSubscription,
): Promise<void> {
  if (teamId !== null) await endSubscriptions(polar, database, teamId, [id]);
}

async function askSubscription(polar: Polar, id: string): Promise<HeardSubscription> {
  return { ...(await fetchSubscription(polar, id)), asked: true };
}

/** Two states of one instant (Polar tells microseconds, a Date milliseconds): which is the newer, only Polar knows. */
async function isTied(em: EntityManager, subscription: PolarSubscription): Promise<boolean> {
  const known = await em.findOne(Subscription, { id: subscription.id });
  if (known?.stateAt.getTime() !== subscription.stateAt.getTime()) return false;
  const plans = await plansOf(em, subscription);
  return plans.plan === null || !isSameState(known, { ...subscription, ...plans, plan: plans.plan });
}

/** As of subscriptions: two states of an order of one instant that do not say the same about its money. */
async function isTiedOrder(em: EntityManager, order: PolarOrder): Promise<boolean> {
  const known = await em.findOne(Order, { id: order.id });
  return (
    known?.stateAt.getTime() === order.stateAt.getTime() && known.refundedAmount !== order.refundedAmount
  );
}

async function paidBefore(
  polar: Polar,
  order: PolarOrder,
  subscriptionId: string,
): Promise<{ order: PolarOrder; saidAt: Date }[]> {
  const orders = await listSubscriptionOrders(polar, subscriptionId);
  return orders
    .filter((other) => other.paid && other.id !== order.id && other.createdAt <= order.createdAt)
    .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
    .map((other) => ({ order: other, saidAt: other.stateAt }));
}
