import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import { readCatalog } from '../catalog/versions.ts';
import { Subscription } from '../database/entities/subscription.ts';
import { hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { type PolarSubject, polarTime, readTeamRef, subjectOf } from './events.ts';
import { resolveProduct } from './resolve-product.ts';
import { type ResolvedTeam, resolveTeam } from './resolve-team.ts';
import { storable } from './verify-webhook.ts';

/**
 * Finds the team of an event as `resolveTeam` does. If that finds none, the team of the stored subscription.
 */
export async function resolveEventTeam(
  em: EntityManager,
  type: string,
  data: unknown,
): Promise<ResolvedTeam> {
  const { orderId, subscriptionId } = idsOf(subjectOf(type), data);
  const resolved = await resolveTeam(em, readTeamRef(type, data), orderId);
  if (!('unknown' in resolved) || subscriptionId === null) return resolved;
  const options = { fields: ['teamId'], disableIdentityMap: true } as const;
  const subscription = await em.findOne(Subscription, { id: subscriptionId }, options);
  return subscription ? { teamId: subscription.teamId } : resolved;
}

/**
 * Whether an event without a known team is foreign, because the organisation at Polar also sells other things. A
 * foreign event has no team id and no product of the catalog. It is recorded once for each object, and never parked.
 * Changes of a customer without a team, and of its members, are foreign too: no team waits for them.
 */
export async function isForeign(em: EntityManager, type: string, data: unknown): Promise<boolean> {
  const subject = subjectOf(type);
  const { orderId } = idsOf(subject, data);
  if (subject === 'refund' || subject === 'dispute')
    return orderId !== null && !(await isParked(em, orderId));
  if (subject === 'customer' || subject === 'member') return true;
  if (subject === 'unused') return false;
  if (z.guid().safeParse(readTeamRef(type, data).metadataTeamId).success) return false;
  const product = productSchema.safeParse(data);
  if (!product.success) return false;
  const { ordersSince } = (await readCatalog(em)).catalog.policies;
  const createdAt = product.data.created_at;
  if (subject === 'order' && createdAt && isBefore({ createdAt }, ordersSince)) return true;
  const { product_id: productId = null, product: embedded } = product.data;
  const key = embedded?.metadata?.catalog_key;
  return (
    typeof key !== 'string' && (await resolveProduct(em, { productId, productCatalogKey: null })) === null
  );
}

/** Whether an order is older than the policy `ordersSince`: it is recorded and never granted. */
export function isBefore({ createdAt }: { createdAt: Date }, ordersSince: Date | null): boolean {
  return ordersSince !== null && createdAt < ordersSince;
}

/** The ids of a foreign event. Nothing else of it is recorded. */
export function foreignRecord(type: string, data: unknown): { key: string; payload: object } {
  const ids = z
    .object({ id: z.string() })
    .catchall(z.unknown())
    .transform((object) =>
      Object.fromEntries(Object.entries(object).filter(([name]) => /^(id|[a-z]+_id)$/.test(name))),
    )
    .safeParse(data);
  const kept = ids.success ? ids.data : {};
  return { key: `foreign:${subjectOf(type)}:${String(kept.id)}`, payload: { type, data: kept } };
}

/** The Polar object of an event, as it is now. */
export interface CurrentObject {
  /** The event type of `data`: for refunds and disputes, that of their order. */
  type: string;
  /** The object without characters that Postgres cannot store. */
  data: unknown;
  /** Whether `data` may replace the event's `data`. False for the order of a refund. */
  replaces: boolean;
}

/**
 * Fetches the object of an event.
 *
 * @returns null if Polar does not know it, or if the event has no order, subscription, refund or dispute
 * @throws DomainError as `callPolar`
 */
export async function fetchCurrentObject(
  polar: Polar,
  type: string,
  data: unknown,
): Promise<CurrentObject | null> {
  const subject = subjectOf(type);
  const { orderId, subscriptionId } = idsOf(subject, data);
  try {
    if (subject === 'subscription' && subscriptionId !== null) {
      const current = await callPolar('read', () => polar.subscriptions.get(subscriptionId));
      return { type, data: asStorable(current), replaces: true };
    }
    if (orderId === null) return null;
    const current = await callPolar('read', () => polar.orders.get(orderId));
    const isOrder = subject === 'order';
    return { type: isOrder ? type : 'order.updated', data: asStorable(current), replaces: isOrder };
  } catch (error) {
    if (hasCode(error, 'polar_not_found', 'polar_refused')) return null;
    throw error;
  }
}

/** The ids of the order and the subscription of an object. */
function idsOf(
  subject: PolarSubject,
  data: unknown,
): { orderId: string | null; subscriptionId: string | null } {
  const { id = null, order_id = null, subscription_id = null } = idsSchema.safeParse(data).data ?? {};
  switch (subject) {
    case 'order':
      return { orderId: id, subscriptionId: subscription_id };
    case 'subscription':
      return { orderId: null, subscriptionId: id };
    case 'refund':
    case 'dispute':
      return { orderId: order_id, subscriptionId: null };
    default:
      return { orderId: null, subscriptionId: null };
  }
}

async function isParked(em: EntityManager, objectId: string): Promise<boolean> {
  const rows = await em.execute(
    `select from inbox where source = 'polar' and payload->'data'->>'id' = ? and status in ('received', 'parked') limit 1`,
    [objectId],
  );
  return rows.length > 0;
}

function asStorable(data: unknown): unknown {
  return JSON.parse(JSON.stringify(data), storable);
}

const text = z.string().nullish().catch(null);
const idsSchema = z.object({ id: text, order_id: text, subscription_id: text });
const productSchema = z.object({
  created_at: polarTime.optional().catch(undefined),
  product_id: text,
  product: z
    .object({ metadata: z.record(z.string(), z.unknown()).nullish().catch(null) })
    .nullish()
    .catch(null),
});
