import { setTimeout as pause } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import { findProduct, isBeforeAdoption } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import { Grant } from '../database/entities/grant.ts';
import { Order, reversedAmount } from '../database/entities/order.ts';
import { isStanding, Subscription } from '../database/entities/subscription.ts';
import { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import { isSameState } from '../ledger/lifecycle/apply-subscription.ts';
import { clawbackTarget } from '../ledger/rules/plan-clawback.ts';
import { callPolar, readAll } from '../polar/client.ts';
import { type DisputedOrder, fetchDisputedAmounts } from '../polar/disputed-amounts.ts';
import {
  disputeEvent,
  type PolarOrder,
  type PolarSubscription,
  readDispute,
  readOrder,
  readRefund,
  readSubscription,
} from '../polar/events.ts';
import { plansOf, resolveProduct } from '../polar/resolve-product.ts';
import type { Walked } from './polar-page.ts';

/** A difference between Polar and the ledger, as the event that would have reported it. */
export interface Difference {
  kind: Walked;
  /** Polar's id of the order or subscription that differs. */
  id: string;
  /** The event's type, and the equivalent types: if an event of one of them waits, nothing is missing. */
  type: 'order.paid' | 'order.updated' | 'subscription.updated' | typeof disputeEvent;
  sameAs: readonly string[];
  /** Identifies the same difference when it is found again. */
  version: string;
  /** Whether we already know the object, in another state. */
  known: boolean;
  /** When the difference arose, by Polar's clock. */
  occurredAt: Date;
  /** The event's `data`, as Polar would have sent it. */
  data: unknown;
  /** The maximum number of micro-credits that its repair grants or takes. */
  credits: bigint;
  what: string;
}

/** Objects from Polar that cannot be read. */
export interface Unreadable {
  kind: Walked;
  id: string;
  what: string;
}

interface Found {
  differences: Difference[];
  unreadable: Unreadable[];
}

/**
 * Compares a page of Polar's objects with the ledger. Only reads. Fetches the orders of a page of refunds or disputes
 * from Polar.
 *
 * @param fetchPauseMs  milliseconds between two fetched orders
 * @param until  objects that changed later are left to their webhooks
 * @throws DomainError as `callPolar`
 */
export async function findDifferences(
  em: EntityManager,
  polar: Polar,
  kind: Exclude<Walked, 'unpaid_orders'>,
  items: readonly { id: string }[],
  { until, fetchPauseMs }: { until: Date; fetchPauseMs: number },
): Promise<Found> {
  switch (kind) {
    case 'orders': {
      const { read, unreadable } = readEach(kind, items, readOrder);
      return { differences: await compareOrders(em, kind, read, until), unreadable };
    }
    case 'subscriptions': {
      const { read, unreadable } = readEach(kind, items, readSubscription);
      return { differences: await compareSubscriptions(em, read, until), unreadable };
    }
    case 'refunds': {
      const { read, unreadable } = readEach(kind, items, readRefund);
      const ids = await ordersWithOtherRefunds(em, polar, [
        ...new Set(read.map(({ value }) => value.orderId)),
      ]);
      const orders = readEach(kind, await fetchOrders(polar, ids, fetchPauseMs), readOrder);
      return {
        differences: await compareOrders(em, kind, orders.read, until),
        unreadable: [...unreadable, ...orders.unreadable],
      };
    }
    case 'disputes': {
      const { read, unreadable } = readEach(kind, items, readDispute);
      const amounts = new Map<string, DisputedOrder>();
      const disputedOrders = [...new Set(read.map(({ value }) => value.orderId))];
      for (const [orderId, disputed] of await fetchDisputedAmounts(polar, disputedOrders)) {
        if (disputed instanceof DomainError)
          unreadable.push({ kind: 'orders', id: orderId, what: disputed.message });
        else amounts.set(orderId, disputed);
      }
      const ids = await ordersWithOtherDisputes(em, amounts);
      const orders = readEach(kind, await fetchOrders(polar, ids, fetchPauseMs), readOrder);
      return {
        differences: await compareDisputes(em, orders.read, amounts),
        unreadable: [...unreadable, ...orders.unreadable],
      };
    }
  }
}

interface Read<T> {
  raw: { id: string };
  value: T;
}

function readEach<T>(
  kind: Walked,
  items: readonly { id: string }[],
  reader: (data: unknown) => T,
): { read: Read<T>[]; unreadable: Unreadable[] } {
  const read: Read<T>[] = [];
  const unreadable: Unreadable[] = [];
  for (const raw of items) {
    try {
      read.push({ raw, value: reader(raw) });
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      unreadable.push({ kind, id: raw.id, what: error.message });
    }
  }
  return { read, unreadable };
}

async function fetchOrders(
  polar: Polar,
  ids: readonly string[],
  fetchPauseMs: number,
): Promise<{ id: string }[]> {
  const orders: { id: string }[] = [];
  for (const id of ids) {
    if (orders.length > 0) await pause(fetchPauseMs);
    orders.push(await callPolar('read', () => polar.orders.get(id)));
  }
  return orders;
}

async function compareOrders(
  em: EntityManager,
  kind: Walked,
  orders: readonly Read<PolarOrder>[],
  until: Date,
): Promise<Difference[]> {
  const rows = await findOrders(
    em,
    orders.map(({ value }) => value.id),
  );
  const { policies } = (await readCatalog(em)).catalog;
  const differences: Difference[] = [];
  for (const { raw, value: order } of orders) {
    if (order.stateAt > until) continue;
    const row = rows.get(order.id);
    const known = row !== undefined;
    const same = { kind, id: order.id, known, occurredAt: order.stateAt, data: raw };
    const version = order.stateAt.toISOString();
    if (order.paid && !row?.grantedAt && !isBeforeAdoption(order.createdAt, policies)) {
      const credits = await creditsOf(em, order);
      const what = `order ${order.id} is paid and nothing was granted for it`;
      differences.push({ ...same, type: 'order.paid', sameAs: ['order.paid'], version, credits, what });
    }
    if (row && row.refundedAmount !== order.refundedAmount && order.stateAt >= row.stateAt) {
      differences.push({
        ...same,
        type: 'order.updated',
        sameAs: ['order.updated', 'order.refunded'],
        version,
        credits: await creditsMoved(
          em,
          row,
          reversedAmount({ refundedAmount: order.refundedAmount, disputedAmount: row.disputedAmount }),
        ),
        what: `order ${order.id} has ${order.refundedAmount} refunded at Polar, and ${row.refundedAmount} in our database`,
      });
    }
  }
  return differences;
}

async function compareSubscriptions(
  em: EntityManager,
  subscriptions: readonly Read<PolarSubscription>[],
  until: Date,
): Promise<Difference[]> {
  const ids = subscriptions.map(({ value }) => value.id);
  const rows = await em.find(Subscription, { id: { $in: ids } }, { disableIdentityMap: true });
  const known = new Map(rows.map((row) => [row.id, row]));
  const outliving = await findOutliving(em, subscriptions, known);
  const differences: Difference[] = [];
  for (const { raw, value: subscription } of subscriptions) {
    const row = known.get(subscription.id);
    if (subscription.stateAt > until || (row && subscription.stateAt < row.stateAt)) continue;
    const difference = {
      kind: 'subscriptions',
      id: subscription.id,
      known: row !== undefined,
      type: 'subscription.updated',
      sameAs: ['subscription.updated'],
      occurredAt: subscription.stateAt,
      data: raw,
    } as const;
    if (outliving.has(subscription.id)) {
      differences.push({
        ...difference,
        version: `outlives:${subscription.stateAt.toISOString()}`,
        credits: 0n,
        what: `subscription ${subscription.id} is still ${subscription.status} at Polar, and its team is deleted: if no run ends it, end it at Polar`,
      });
      continue;
    }
    const plans = await plansOf(em, subscription);
    if (row && isSameState(row, { ...subscription, ...plans, plan: plans.plan ?? row.plan })) continue;
    const ends = subscription.endedAt !== null && row?.endedAt === null;
    differences.push({
      ...difference,
      version: subscription.stateAt.toISOString(),
      credits: ends ? await availableOf(em, subscription.id) : 0n,
      what: row
        ? `subscription ${subscription.id} is ${subscription.status} since ${subscription.stateAt.toISOString()} at Polar, and older in our database`
        : `subscription ${subscription.id} is not known to us`,
    });
  }
  return differences;
}

/** Ids of the subscriptions that still stand at Polar although their team is deleted, by any id that names the team. */
async function findOutliving(
  em: EntityManager,
  subscriptions: readonly Read<PolarSubscription>[],
  known: Map<string, Subscription>,
): Promise<Set<string>> {
  const standing = subscriptions.map(({ value }) => value).filter(isStanding);
  const namesOf = ({ id, teamRef }: PolarSubscription) =>
    [teamRef.metadataTeamId, teamRef.customerExternalId, known.get(id)?.teamId]
      .map((name) => name?.toLowerCase())
      .filter((name) => z.guid().safeParse(name).success);
  const deleted = await em.find(
    Team,
    {
      deletedAt: { $ne: null },
      $or: [
        { id: { $in: standing.flatMap(namesOf).filter((name) => name !== undefined) } },
        { polarCustomerId: { $in: standing.map(({ teamRef }) => teamRef.customerId) } },
      ],
    },
    { fields: ['id', 'polarCustomerId'], disableIdentityMap: true },
  );
  const isOf = (subscription: PolarSubscription) =>
    deleted.some(
      ({ id, polarCustomerId }) =>
        namesOf(subscription).includes(id) ||
        (polarCustomerId !== null && polarCustomerId === subscription.teamRef.customerId),
    );
  return new Set(standing.filter(isOf).map(({ id }) => id));
}

async function compareDisputes(
  em: EntityManager,
  orders: readonly Read<PolarOrder>[],
  amounts: Map<string, DisputedOrder>,
): Promise<Difference[]> {
  const known = await findOrders(
    em,
    orders.map(({ value }) => value.id),
  );
  const differences: Difference[] = [];
  for (const { value: order } of orders) {
    const disputed = amounts.get(order.id);
    if (!disputed) continue;
    const { amount, stateAt } = disputed;
    const row = known.get(order.id);
    differences.push({
      kind: 'disputes',
      id: order.id,
      known: row !== undefined,
      type: disputeEvent,
      sameAs: [disputeEvent],
      // The disputed amount of the same dispute falls when a refund names it.
      version: `${stateAt.toISOString()}:${amount}`,
      occurredAt: stateAt,
      // Without the customer's details: the order is fetched again when this event is applied.
      data: {
        id: order.id,
        order_id: order.id,
        amount: Number(amount),
        status: amount > 0n ? 'disputed' : 'settled',
        created_at: stateAt.toISOString(),
        customer_id: order.teamRef.customerId,
        metadata: order.teamRef.metadataTeamId === null ? {} : { team_id: order.teamRef.metadataTeamId },
      },
      credits: row
        ? await creditsMoved(
            em,
            row,
            reversedAmount({ refundedAmount: row.refundedAmount, disputedAmount: amount }),
          )
        : 0n,
      what: `order ${order.id} has ${amount} disputed at Polar, and ${row?.disputedAmount ?? 0n} in our database`,
    });
  }
  return differences;
}

/**
 * Orders whose refunds do not add up to our amount. Sums them from a list: one request for a hundred orders. An
 * unreadable refund is reported when its own page is compared. The sum of its order then differs, so the order is
 * fetched.
 */
async function ordersWithOtherRefunds(
  em: EntityManager,
  polar: Polar,
  ids: readonly string[],
): Promise<string[]> {
  if (ids.length === 0) return [];
  const refunds = await callPolar('read', () =>
    readAll(polar.refunds.iterList({ order_id: [...ids], limit: 100 })),
  );
  const sums = new Map<string, bigint>();
  for (const { value } of readEach('refunds', refunds, readRefund).read) {
    const { orderId, status, amount } = value;
    sums.set(orderId, (sums.get(orderId) ?? 0n) + (status === 'succeeded' ? amount : 0n));
  }
  const known = await findOrders(em, ids);
  return ids.filter((id) => known.get(id)?.refundedAmount !== (sums.get(id) ?? 0n));
}

async function ordersWithOtherDisputes(
  em: EntityManager,
  amounts: Map<string, DisputedOrder>,
): Promise<string[]> {
  const known = await findOrders(em, [...amounts.keys()]);
  return [...amounts].flatMap(([id, { amount }]) =>
    (known.get(id)?.disputedAmount ?? 0n) === amount ? [] : [id],
  );
}

async function findOrders(em: EntityManager, ids: readonly string[]): Promise<Map<string, Order>> {
  const rows = await em.find(Order, { id: { $in: [...ids] } }, { disableIdentityMap: true });
  return new Map(rows.map((row) => [row.id, row]));
}

/** The maximum that a paid order grants: a pack's credits, or a plan's whole allotment. */
async function creditsOf(em: EntityManager, order: PolarOrder): Promise<bigint> {
  const key = await resolveProduct(em, order);
  const { catalog } = await readCatalog(em);
  const product = key === null ? undefined : findProduct(catalog, key);
  if (!product) return 0n;
  return product.kind === 'pack' ? product.pack.credits * BigInt(order.units) : product.plan.allotment;
}

/** How many credits a clawback moves if this amount of the order's money is reversed. */
async function creditsMoved(em: EntityManager, order: Order, unpaid: bigint): Promise<bigint> {
  const grants = await em.find(Grant, { orderId: order.id }, { disableIdentityMap: true });
  const granted = grants.reduce((sum, grant) => sum + grant.granted, 0n);
  const target = (amount: bigint) => clawbackTarget(granted, order.paidAmount, amount);
  const moved = target(unpaid) - target(reversedAmount(order));
  return moved < 0n ? -moved : moved;
}

async function availableOf(em: EntityManager, subscriptionId: string): Promise<bigint> {
  const grants = await em.find(
    Grant,
    { subscriptionId, available: { $gt: 0n } },
    { disableIdentityMap: true },
  );
  return grants.reduce((sum, { available }) => sum + available, 0n);
}
