import type { Polar, webhooks } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import { DomainError, hasCode } from '../domain-error.ts';
import { callPolar, readAll } from './client.ts';

/** The kind of object that an event concerns. `unused`: billing stores and acknowledges it, and does nothing else. */
export type PolarSubject = 'order' | 'refund' | 'dispute' | 'subscription' | 'customer' | 'member' | 'unused';

type EventType = webhooks.WebhookPayload['type'];

/** Every event type that billing uses. README.md says what each one does. */
export const usedEvents = {
  order: ['order.paid', 'order.refunded', 'order.updated'],
  refund: ['refund.created', 'refund.updated'],
  subscription: [
    'subscription.created',
    'subscription.updated',
    'subscription.active',
    'subscription.canceled',
    'subscription.uncanceled',
    'subscription.cycled',
    'subscription.revoked',
    'subscription.past_due',
    'subscription.paused',
    'subscription.resumed',
    'subscription.migrated',
  ],
  customer: ['customer.deleted'],
  member: ['member.created', 'member.updated', 'member.deleted'],
} as const satisfies Record<Exclude<PolarSubject, 'unused' | 'dispute'>, readonly EventType[]>;

/**
 * Events that can change the team of a Polar customer: parked events of the customer are resolved again. No workflow
 * is signalled.
 */
export const customerChangeEvents = ['customer.created', 'customer.updated'] as const satisfies EventType[];

/** Our own event: Polar has no webhook for disputes, so reconciliation creates it. */
export const disputeEvent = 'dispute.updated';

/**
 * The subject of an event of this type; `unused` for every type that billing does not need, known to Polar's SDK or
 * not.
 */
export function subjectOf(type: string): PolarSubject {
  if (type === disputeEvent) return 'dispute';
  return subjects.get(type) ?? 'unused';
}

const subjects = new Map<string, PolarSubject>(
  (['order', 'refund', 'subscription', 'customer', 'member'] as const).flatMap((subject) =>
    usedEvents[subject].map((type) => [type, subject] as const),
  ),
);

/** Every field of a Polar object that identifies its team; see `resolve-team.ts`. */
export interface PolarTeamRef {
  /** `metadata.team_id`, which Polar copies from the checkout to order, subscription and renewals. */
  metadataTeamId: string | null;
  /** `customer.external_id`, which we set when we create the customer. */
  customerExternalId: string | null;
  customerId: string | null;
}

export interface PolarProductRef {
  productId: string | null;
  /** `product.metadata.catalog_key`, if the payload contains the product. */
  productCatalogKey: string | null;
}

/** Money is in the currency's minor units, without tax. */
export interface PolarOrder extends PolarProductRef {
  id: string;
  teamRef: PolarTeamRef;
  /** draft, pending, paid, refunded, partially_refunded, void, or a status that Polar adds later. */
  status: string;
  /** The money has arrived, even if it was refunded later. Also true if nothing had to be paid. */
  paid: boolean;
  /**
   * `net_amount` (after discounts) + `applied_balance_amount`. The second is *negative* if the customer's credit paid a
   * part, *positive* if they owed money before. (Polar computes `due = max(0, total + applied balance)` and `refundable
   * = net + applied balance − refunded` in the same way.) 0 if the sum is negative: a change to a smaller plan that is
   * billed at once is a credit for later orders, and nothing was paid.
   */
  paidAmount: bigint;
  /** The sum of all refunds. */
  refundedAmount: bigint;
  currency: string;
  /** The number of packs; 1 if Polar gives none. */
  units: number;
  /** Our products have no seats, so an order with seats is parked. */
  seats: number | null;
  /** Whether it bills metered usage: its `billing_reason` is `subscription_meter_cycle`. */
  billsUsage: boolean;
  /** `metadata.catalog_version` of its checkout: the version that the payer saw. */
  checkoutCatalogVersion: number | null;
  subscriptionId: string | null;
  /** The embedded subscription; null if the order embeds none. */
  subscription: PolarSubscription | null;
  lines: PolarOrderLine[];
  createdAt: Date;
  /** Polar's time of this state. */
  stateAt: Date;
}

export interface PolarOrderLine {
  amount: bigint;
  proration: boolean;
  /** The price that it bills; null for the free line of a trial. */
  priceId: string | null;
  /** The period `[start, end)` that the line pays for; null in older payloads and for packs. */
  start: Date | null;
  end: Date | null;
  /** Whether its period begins within the subscription's trial at Polar. A line with money never does. */
  inTrial: boolean;
}

export interface PolarSubscription extends PolarProductRef {
  id: string;
  teamRef: PolarTeamRef;
  /**
   * incomplete, incomplete_expired, trialing, active, past_due, canceled, unpaid, paused, or a status that Polar adds
   * later.
   */
  status: string;
  currentPeriodStart: Date;
  currentPeriodEnd: Date;
  cancelAtPeriodEnd: boolean;
  startedAt: Date | null;
  endedAt: Date | null;
  /** A change of product that takes effect later. */
  pendingUpdate: { productId: string | null } | null;
  /** Ids of the prices that it bills. */
  priceIds: string[];
  /** Polar's time of this state. */
  stateAt: Date;
}

export interface PolarRefund {
  id: string;
  /** A refund has neither our metadata nor the customer's external id, so its order identifies the team. */
  teamRef: PolarTeamRef;
  orderId: string;
  /** pending, succeeded, failed, canceled */
  status: string;
  amount: bigint;
  dispute: PolarDispute | null;
  stateAt: Date;
}

export interface PolarDispute {
  id: string;
  /** prevented, early_warning, needs_response, under_review, lost, won */
  status: string;
  amount: bigint;
  stateAt: Date;
}

/** @throws DomainError `unreadable_event` naming the missing field */
export function readOrder(data: unknown): PolarOrder {
  const order = read('order', orderSchema, data);
  const product = { productId: order.product_id ?? null, productCatalogKey: catalogKeyOf(order.product) };
  const embedded = order.subscription;
  const paid = order.net_amount + order.applied_balance_amount;
  return {
    id: order.id,
    teamRef: teamRefOf(order),
    ...product,
    status: order.status,
    paid: order.paid ?? ['paid', 'refunded', 'partially_refunded'].includes(order.status),
    paidAmount: paid > 0n ? paid : 0n,
    refundedAmount: order.refunded_amount,
    currency: order.currency,
    units: order.units ?? 1,
    seats: order.seats ?? null,
    billsUsage: order.billing_reason === 'subscription_meter_cycle',
    checkoutCatalogVersion: versionOf(order.metadata?.catalog_version),
    subscriptionId: order.subscription_id ?? embedded?.id ?? null,
    // Embedded, it has no customer and no product: those of the order apply.
    subscription: embedded
      ? toSubscription({
          ...embedded,
          customer: embedded.customer ?? order.customer,
          product: embedded.product ?? (embedded.product_id === order.product_id ? order.product : null),
        })
      : null,
    lines: order.items.map((item) => ({
      amount: item.amount,
      proration: item.proration,
      priceId: item.product_price_id ?? null,
      start: item.start_timestamp ?? null,
      end: item.end_timestamp ?? null,
      inTrial: item.amount === 0n && startsInTrial(item.start_timestamp, embedded),
    })),
    createdAt: order.created_at,
    stateAt: order.modified_at ?? order.created_at,
  };
}

/** @throws DomainError `unreadable_event` naming the missing field */
export function readSubscription(data: unknown): PolarSubscription {
  return toSubscription(read('subscription', subscriptionSchema, data));
}

/** @throws DomainError `unreadable_event` naming the missing field */
export function readRefund(data: unknown): PolarRefund {
  const refund = read('refund', refundSchema, data);
  return {
    id: refund.id,
    teamRef: teamRefOf(refund),
    orderId: refund.order_id,
    status: refund.status,
    amount: refund.amount,
    dispute: refund.dispute ? toDispute(refund.dispute) : null,
    stateAt: refund.modified_at ?? refund.created_at,
  };
}

/** @throws DomainError `unreadable_event` naming the missing field */
export function readDispute(data: unknown): PolarDispute & { orderId: string } {
  const dispute = read('dispute', orderDisputeSchema, data);
  return { ...toDispute(dispute), orderId: dispute.order_id };
}

/** The fields of an event's `data` that identify its team. Never throws: all are null if `data` cannot be read. */
export function readTeamRef(type: string, data: unknown): PolarTeamRef {
  const subject = subjectOf(type);
  const owned = ownedSchema.safeParse(data);
  const nobody = { metadataTeamId: null, customerExternalId: null, customerId: null };
  if (!owned.success || subject === 'unused') return nobody;
  if (subject !== 'customer') return teamRefOf(owned.data);
  const { id, external_id } = owned.data;
  return { metadataTeamId: null, customerExternalId: external_id ?? null, customerId: id ?? null };
}

/** The ids of an event's order and subscription. Never throws: both are null if `data` cannot be read. */
export function readIds(
  type: string,
  data: unknown,
): { orderId: string | null; subscriptionId: string | null } {
  const { id = null, order_id = null, subscription_id = null } = idsSchema.safeParse(data).data ?? {};
  switch (subjectOf(type)) {
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

/** @throws DomainError `unreadable_event` naming the missing field */
export function readCustomer(data: unknown): { id: string } {
  return read('customer', customerSchema, data);
}

/** The object of a stored event, for the readers of this file; undefined if the payload has none. */
export function dataOf(payload: unknown): unknown {
  return envelopeSchema.safeParse(payload).data?.data;
}

/** The `unreadable_event` error of an event without an object in `data`, if billing needs that object; else null. */
export function findUnreadable(type: string, data: unknown): DomainError | null {
  if (subjectOf(type) === 'unused' || (typeof data === 'object' && data !== null)) return null;
  return new DomainError('unreadable_event', `Polar's ${type} must have an object in data`);
}

/**
 * Reads an answer of Polar's API with one of the readers above.
 * @throws DomainError `polar_unreadable` naming the missing field
 */
export function readAnswer<T>(reader: (data: unknown) => T, answer: unknown): T {
  try {
    return reader(answer);
  } catch (error) {
    if (!hasCode(error, 'unreadable_event')) throw error;
    throw new DomainError('polar_unreadable', error.message, error.details);
  }
}

/** The order as Polar has it now. @throws DomainError as `callPolar` and `readAnswer`, including `polar_not_found` */
export async function fetchOrder(polar: Polar, id: string): Promise<PolarOrder> {
  return readAnswer(readOrder, await callPolar('read', () => polar.orders.get(id)));
}

/** Every order of a subscription, as Polar has them now. @throws DomainError as `callPolar` and `readAnswer` */
export async function listSubscriptionOrders(polar: Polar, subscriptionId: string): Promise<PolarOrder[]> {
  const orders = await callPolar('read', () =>
    readAll(polar.orders.iterList({ subscription_id: subscriptionId, limit: 100 })),
  );
  return orders.map((order) => readAnswer(readOrder, order));
}

/**
 * The subscription as Polar has it now.
 * @throws DomainError as `callPolar` and `readAnswer`, including `polar_not_found`
 */
export async function fetchSubscription(polar: Polar, id: string): Promise<PolarSubscription> {
  return readAnswer(readSubscription, await callPolar('read', () => polar.subscriptions.get(id)));
}

// ---- The required parts of Polar's payloads: only the fields that we use. Unknown fields and values are accepted.
// ----

// A time outside this range is an error of its sender, and Postgres cannot store every such time.
const earliestTime = Date.UTC(2000, 0, 1);
const latestTime = Date.UTC(2200, 0, 1);

/** A time from Polar: ISO 8601 with up to microseconds, truncated to milliseconds; UTC if it has no zone. */
export const polarTime = z
  .string()
  .transform((text) => new Date(/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`))
  .refine((date) => earliestTime <= date.getTime() && date.getTime() < latestTime, {
    error: 'expected a time',
  });

const id = z.string().min(1).max(255);
const cents = z.int().transform(BigInt);
const metadata = z.record(z.string(), z.unknown()).nullish().catch(null);

// Most objects embed Polar's customer and product, but not all.
const customer = z.object({ id: id.optional(), external_id: z.string().nullish() }).nullish().catch(null);
const product = z.object({ metadata }).nullish().catch(null);

const owned = { metadata, customer, customer_id: id.nullish() };
const ownedSchema = z.object({ ...owned, id: id.optional(), external_id: z.string().nullish() });
const customerSchema = z.object({ id });
const envelopeSchema = z.object({ data: z.unknown() });
const anyText = z.string().nullish().catch(null);
const idsSchema = z.object({ id: anyText, order_id: anyText, subscription_id: anyText });
const stated = { created_at: polarTime, modified_at: polarTime.nullish() };

const subscriptionSchema = z.object({
  ...owned,
  ...stated,
  id,
  product_id: id.nullish(),
  product,
  status: z.string(),
  current_period_start: polarTime,
  current_period_end: polarTime,
  trial_start: polarTime.nullish(),
  trial_end: polarTime.nullish(),
  cancel_at_period_end: z.boolean(),
  started_at: polarTime.nullish(),
  ended_at: polarTime.nullish(),
  pending_update: z.object({ product_id: id.nullish() }).nullish(),
  prices: z.array(z.object({ id })).nullish().catch(null),
});

const orderSchema = z.object({
  ...owned,
  ...stated,
  id,
  product_id: id.nullish(),
  product,
  status: z.string(),
  paid: z.boolean().nullish(),
  net_amount: cents,
  applied_balance_amount: cents.default(0n),
  refunded_amount: cents.default(0n),
  currency: z.string(),
  units: z.int().positive().nullish(),
  seats: z.int().nullish(),
  billing_reason: z.string().nullish(),
  subscription_id: id.nullish(),
  subscription: subscriptionSchema.nullish(),
  items: z
    .array(
      z.object({
        amount: cents,
        proration: z.boolean(),
        product_price_id: id.nullish(),
        start_timestamp: polarTime.nullish(),
        end_timestamp: polarTime.nullish(),
      }),
    )
    .default([]),
});

const disputeSchema = z.object({ ...stated, id, status: z.string(), amount: cents });
/** As listed. Within a refund the order may be missing. */
const orderDisputeSchema = disputeSchema.extend({ order_id: id });

const refundSchema = z.object({
  ...owned,
  ...stated,
  id,
  order_id: id,
  status: z.string(),
  amount: cents,
  dispute: disputeSchema.nullish(),
});

function read<T>(what: string, schema: z.ZodType<T>, data: unknown): T {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => ({
    path: [what, ...path].map(String).join('.'),
    message,
  }));
  const text = problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new DomainError('unreadable_event', `Polar's ${what} lacks required fields: ${text}`, {
    problems,
  });
}

function startsInTrial(
  start: Date | null | undefined,
  subscription: z.output<typeof subscriptionSchema> | null | undefined,
): boolean {
  if (!subscription?.trial_end) return false;
  const from = start ?? subscription.current_period_start;
  return from < subscription.trial_end && (!subscription.trial_start || from >= subscription.trial_start);
}

function toDispute(dispute: z.output<typeof disputeSchema>): PolarDispute {
  const { id, status, amount, modified_at, created_at } = dispute;
  return { id, status, amount, stateAt: modified_at ?? created_at };
}

function toSubscription(subscription: z.output<typeof subscriptionSchema>): PolarSubscription {
  const pending = subscription.pending_update;
  return {
    id: subscription.id,
    teamRef: teamRefOf(subscription),
    productId: subscription.product_id ?? null,
    productCatalogKey: catalogKeyOf(subscription.product),
    status: subscription.status,
    currentPeriodStart: subscription.current_period_start,
    currentPeriodEnd: subscription.current_period_end,
    cancelAtPeriodEnd: subscription.cancel_at_period_end,
    startedAt: subscription.started_at ?? null,
    endedAt: subscription.ended_at ?? null,
    pendingUpdate: pending ? { productId: pending.product_id ?? null } : null,
    priceIds: (subscription.prices ?? []).map((price) => price.id),
    stateAt: subscription.modified_at ?? subscription.created_at,
  };
}

interface Owned {
  metadata?: Record<string, unknown> | null | undefined;
  customer?: { id?: string | undefined; external_id?: string | null | undefined } | null | undefined;
  customer_id?: string | null | undefined;
}

function teamRefOf({ metadata, customer, customer_id }: Owned): PolarTeamRef {
  return {
    metadataTeamId: textOf(metadata?.team_id),
    customerExternalId: customer?.external_id ?? null,
    customerId: customer_id ?? customer?.id ?? null,
  };
}

function catalogKeyOf(product: { metadata?: Record<string, unknown> | null | undefined } | null | undefined) {
  return textOf(product?.metadata?.catalog_key);
}

/** A catalog version in metadata: a number, or its digits as text. */
function versionOf(value: unknown): number | null {
  const version = typeof value === 'string' ? Number(value) : value;
  return typeof version === 'number' && Number.isInteger(version) && 0 < version && version < 2 ** 31
    ? version
    : null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
