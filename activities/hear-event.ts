import type { Polar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import type { Database } from '../database/connection.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Subscription } from '../database/entities/subscription.ts';
import { isSameState } from '../ledger/apply-subscription.ts';
import {
  fetchOrder,
  fetchSubscription,
  listSubscriptionOrders,
  type PolarOrder,
  type PolarSubscription,
  readOrder,
  readRefund,
  readSubscription,
  subjectOf,
} from '../polar/events.ts';
import { plansOf } from '../polar/resolve-product.ts';

/** What an event says, read; with what only Polar could add, where it was asked. */
export type Heard =
  | {
      kind: 'order';
      order: PolarOrder;
      /** When the event said so. */
      saidAt: Date;
      /** Whether this is the event that grants. */
      mayGrant: boolean;
      /** Paid orders of the same subscription that came before, oldest first. */
      earlier: { order: PolarOrder; saidAt: Date }[];
      subscription: HeardSubscription | null;
    }
  | { kind: 'subscription'; subscription: HeardSubscription }
  | { kind: 'customer deleted'; customerId: string }
  | { kind: 'nothing'; outcome: string }
  /** Only Polar can settle what is to be done. */
  | { kind: 'ask Polar' };

/** A subscription as the event has it, or as Polar has it now (`asked`). */
export type HeardSubscription = PolarSubscription & { asked: boolean };

/**
 * Reads a stored event. Polar is asked, where it may be, about what a payload alone cannot settle.
 * @throws DomainError 422 `unreadable_event`; as `callPolar`
 */
export async function hearEvent(
  database: Database,
  event: InboxEvent,
  polar: Polar | undefined,
): Promise<Heard> {
  if (event.source !== 'polar') return { kind: 'nothing', outcome: 'The team’s workflow runs' };
  const { data } = z.object({ data: z.unknown() }).parse(event.payload);
  switch (subjectOf(event.type)) {
    case 'order':
      return hearOrder(readOrder(data), event, polar);
    case 'refund': {
      // A refund tells its own amount; the clawback goes by the order's cumulative one.
      const { orderId } = readRefund(data);
      if (!polar) return { kind: 'ask Polar' };
      const order = await fetchOrder(polar, orderId);
      return {
        kind: 'order',
        order,
        saidAt: event.occurredAt,
        mayGrant: false,
        earlier: [],
        subscription: null,
      };
    }
    case 'subscription':
      return hearSubscription(database, readSubscription(data), polar);
    case 'customer':
      return { kind: 'customer deleted', customerId: z.object({ id: z.string() }).parse(data).id };
    case 'member':
    case 'unused':
      return { kind: 'nothing', outcome: 'Nothing of billing changes by this' };
  }
}

async function hearOrder(
  order: PolarOrder,
  { type, occurredAt }: InboxEvent,
  polar: Polar | undefined,
): Promise<Heard> {
  const mayGrant = type === 'order.paid';
  const { subscription } = order;
  // An end takes credits away at once, and a reinstated subscription exists: Polar's word of now decides.
  const ended = subscription !== null && subscription.endedAt !== null;
  const changesPlan = subscription !== null && mayGrant && order.lines.some(({ proration }) => proration);
  if ((ended || changesPlan) && !polar) return { kind: 'ask Polar' };
  return {
    kind: 'order',
    order,
    saidAt: occurredAt,
    mayGrant,
    earlier: changesPlan && polar ? await paidBefore(polar, order, subscription.id) : [],
    subscription:
      ended && polar
        ? await askSubscription(polar, subscription.id)
        : subscription && { ...subscription, asked: false },
  };
}

async function hearSubscription(
  database: Database,
  subscription: PolarSubscription,
  polar: Polar | undefined,
): Promise<Heard> {
  const ended = subscription.endedAt !== null;
  if (!ended && !(await isTied(database, subscription))) {
    return { kind: 'subscription', subscription: { ...subscription, asked: false } };
  }
  if (!polar) return { kind: 'ask Polar' };
  return { kind: 'subscription', subscription: await askSubscription(polar, subscription.id) };
}

async function askSubscription(polar: Polar, id: string): Promise<HeardSubscription> {
  return { ...(await fetchSubscription(polar, id)), asked: true };
}

/** Two states of one instant (Polar tells microseconds, a Date milliseconds): which is the newer, only Polar knows. */
async function isTied(database: Database, subscription: PolarSubscription): Promise<boolean> {
  const em = database.fork();
  const known = await em.findOne(Subscription, { id: subscription.id });
  if (known?.stateAt.getTime() !== subscription.stateAt.getTime()) return false;
  const plans = await plansOf(em, subscription);
  return plans.plan === null || !isSameState(known, { ...subscription, ...plans, plan: plans.plan });
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
