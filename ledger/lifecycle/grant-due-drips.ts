import type { EntityManager } from '@mikro-orm/postgresql';
import { Grant } from '../../database/entities/grant.ts';
import { Order } from '../../database/entities/order.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { type CycleEntitlement, type EntitledGrant, entitlementOf, openDrips } from '../rules/entitlement.ts';
import { type CyclePolicies, followEntitlement } from './follow-entitlement.ts';
import { readBilling } from './read-billing.ts';

/** A part of a yearly allotment and its due time. Micro-credits. */
export interface Drip {
  at: Date;
  credits: bigint;
}

/**
 * Grants every drip of the team's paid yearly cycles that is due and not granted yet. A fully refunded order has no
 * further drips. If an order is partly refunded, its clawback reduces each drip by the same share. The caller holds
 * the team's lock and has read `now` after it.
 *
 * @returns how many drips were granted
 */
export async function grantDueDrips(
  em: EntityManager,
  teamId: string,
  policies: CyclePolicies,
  now: Date,
): Promise<number> {
  let granted = 0;
  for (const id of await drippingSubscriptions(em, teamId)) {
    const next = soonest((await readDrips(em, id)).open);
    if (!next || next.dueAt > now) continue;
    const followed = await followEntitlement(em, { id, teamId }, policies, now);
    granted += followed.granted.length;
  }
  return granted;
}

/** When the team's next drip is due; null if there is none. */
export async function nextDripAt(em: EntityManager, teamId: string): Promise<Date | null> {
  const open: EntitledGrant[] = [];
  for (const id of await drippingSubscriptions(em, teamId)) open.push(...(await readDrips(em, id)).open);
  return soonest(open)?.dueAt ?? null;
}

/**
 * The next drip after `after` in the subscription's cycle that began at `start`: null if the cycle is paid and has no
 * further drips, 'not_paid' if no payment of it is known.
 */
export async function nextDripOf(
  em: EntityManager,
  { subscriptionId, start, after }: { subscriptionId: string; start: Date; after: Date },
): Promise<Drip | null | 'not_paid'> {
  const { cycles, open } = await readDrips(em, subscriptionId);
  const cycle = cycles.find((one) => one.start.getTime() === start.getTime());
  if (!cycle?.paid) return 'not_paid';
  const keys = new Set(cycle.grants.map(({ businessKey }) => businessKey));
  const next = soonest(open.filter(({ businessKey, dueAt }) => keys.has(businessKey) && dueAt > after));
  return next && { at: next.dueAt, credits: next.credits };
}

function soonest(drips: readonly EntitledGrant[]): EntitledGrant | null {
  return drips.toSorted((a, b) => a.dueAt.getTime() - b.dueAt.getTime())[0] ?? null;
}

async function drippingSubscriptions(em: EntityManager, teamId: string): Promise<string[]> {
  const orders = await em.find(Order, { teamId, dripsMonthly: true });
  return [...new Set(orders.flatMap(({ subscriptionId }) => subscriptionId ?? []))];
}

/**
 * A subscription's cycles, and its open drips: those that are not granted yet, of every order that is not fully
 * reversed.
 */
async function readDrips(
  em: EntityManager,
  subscriptionId: string,
): Promise<{ cycles: CycleEntitlement[]; open: EntitledGrant[] }> {
  const state = await em.findOne(Subscription, { id: subscriptionId });
  const { billing, orders } = await readBilling(em, subscriptionId, state);
  const { cycles } = entitlementOf(billing);
  const known = await em.find(
    Grant,
    { subscriptionId },
    { fields: ['businessKey'], disableIdentityMap: true },
  );
  const granted = new Set(known.map(({ businessKey }) => businessKey));
  return { cycles, open: openDrips(cycles, orders, granted) };
}
