import type { models } from '@polar-sh/sdk/2026-10';
import { type CustomerState, type Emulator, organizationOf, type StateSubscription } from './emulator.ts';
import type { CheckoutRecord, OrderRecord, Records, SubscriptionRecord } from './records.ts';

/**
 * Builds what Polar shows of each record. The return types are the SDK's models: if a new SDK adds a field, this file
 * no longer compiles.
 */

export function toCustomer(wire: models.OrderCustomer): models.Customer {
  if (wire.type === 'team') return { ...wire, type: 'team' };
  return { ...wire, type: 'individual', email: wire.email ?? '' };
}

export function toCustomerState(emulator: Emulator, wire: models.OrderCustomer): CustomerState {
  const active_subscriptions = emulator.store.subscriptions
    .all()
    .filter(({ wire: { customer_id, status } }) => customer_id === wire.id && isActive(status))
    .map(toStateSubscription);
  return { ...toCustomer(wire), active_subscriptions, granted_benefits: [], active_meters: [] };
}

export function toCheckout(emulator: Emulator, { wire, product_ids }: CheckoutRecord): models.Checkout {
  const products = product_ids.map((id) => toCheckoutProduct(emulator.store.products.demand(id)));
  const product = products.find(({ id }) => id === wire.product_id) ?? null;
  const discount = wire.discount_id === null ? undefined : emulator.store.discounts.get(wire.discount_id);
  return {
    ...wire,
    url: `${emulator.url}/checkout/${wire.id}`,
    products,
    product,
    product_price: product?.prices[0] ?? null,
    prices: Object.fromEntries(products.map(({ id, prices }) => [id, prices])),
    discount: discount ? toCheckoutDiscount(discount) : null,
  };
}

export function toSubscription(emulator: Emulator, record: SubscriptionRecord): models.Subscription {
  const product = emulator.store.products.demand(record.wire.product_id);
  return {
    ...record.wire,
    customer: emulator.store.customers.demand(record.wire.customer_id).wire,
    product,
    discount: discountOf(emulator, record.wire.discount_id),
    prices: product.prices,
    meters: [],
    pending_update: record.pending_update,
  };
}

export function toOrder(emulator: Emulator, { wire, item_timestamps }: OrderRecord): models.Order {
  const subscription =
    wire.subscription_id === null ? undefined : emulator.store.subscriptions.get(wire.subscription_id);
  return {
    ...wire,
    customer: emulator.store.customers.demand(wire.customer_id).wire,
    product:
      wire.product_id === null ? null : toOrderProduct(emulator.store.products.demand(wire.product_id)),
    discount: discountOf(emulator, wire.discount_id),
    subscription: subscription?.wire ?? null,
    items: item_timestamps ? wire.items : wire.items.map(withoutTimestamps),
  };
}

export function toRefund(emulator: Emulator, record: Records['refunds']): models.Refund {
  const { dispute_id, ...wire } = record;
  return { ...wire, dispute: dispute_id === null ? null : (emulator.store.disputes.get(dispute_id) ?? null) };
}

export function toDispute(emulator: Emulator, dispute: models.RefundDispute): models.Dispute {
  const order = emulator.store.orders.demand(dispute.order_id);
  return {
    ...dispute,
    customer: emulator.store.customers.demand(order.wire.customer_id).wire,
    case_id: null,
  };
}

export function toDiscount(record: Records['discounts']): models.Discount {
  const { product_ids, duration_in_months, ...wire } = record;
  const products: models.DiscountProduct[] = [];
  return record.duration === 'repeating'
    ? { ...wire, duration_in_months: duration_in_months ?? 1, products }
    : { ...wire, products };
}

export function toDelivery(emulator: Emulator, record: Records['deliveries']): models.WebhookDelivery {
  const { event_id, endpoint_id, ...wire } = record;
  const event = emulator.store.events.demand(event_id);
  return { ...wire, webhook_event: event.wire };
}

export function toOrganization(emulator: Emulator): models.Organization {
  const {
    tax_basis_points,
    tax_inclusive,
    item_timestamps,
    unknown_email_domains,
    unknown_event_types,
    ...wire
  } = organizationOf(emulator);
  return wire;
}

/** The one fixed price of each product. */
export function fixedPriceOf(product: models.Product): models.ProductPriceFixed {
  for (const price of product.prices) {
    if (price.amount_type === 'fixed' && 'source' in price && !price.is_archived) return price;
  }
  throw new Error(`product ${product.id} has no fixed price`);
}

export const isActive = (status: models.SubscriptionStatus) => status === 'active' || status === 'trialing';
export const isBillable = (status: models.SubscriptionStatus) => isActive(status) || status === 'past_due';

/** A line as Polar sent it before September 2026. The SDK has no type for it. */
function withoutTimestamps(item: models.OrderItemSchema): models.OrderItemSchema {
  return {
    ...item,
    start_timestamp: undefined,
    end_timestamp: undefined,
  } as unknown as models.OrderItemSchema;
}

function discountOf(emulator: Emulator, id: string | null): models.Order['discount'] {
  const record = id === null ? undefined : emulator.store.discounts.get(id);
  if (!record) return null;
  const { product_ids, duration_in_months, ...wire } = record;
  return record.duration === 'repeating' ? { ...wire, duration_in_months: duration_in_months ?? 1 } : wire;
}

function toCheckoutDiscount(record: Records['discounts']): NonNullable<models.Checkout['discount']> {
  const { id, name, code, duration } = record;
  const taken =
    record.type === 'fixed'
      ? { type: record.type, amount: record.amount, currency: record.currency, amounts: record.amounts }
      : { type: record.type, basis_points: record.basis_points };
  const wire = { id, name, code, duration, ...taken };
  return duration === 'repeating' ? { ...wire, duration_in_months: record.duration_in_months ?? 1 } : wire;
}

function toCheckoutProduct(product: models.Product): models.CheckoutProduct {
  const { metadata, attached_custom_fields, is_deletable, benefits, ...wire } = product;
  return { ...wire, benefits: [] };
}

function toOrderProduct(product: models.Product): models.OrderProduct {
  const { prices, benefits, medias, attached_custom_fields, is_deletable, ...wire } = product;
  return wire;
}

function toStateSubscription({ wire }: SubscriptionRecord): StateSubscription {
  const { status } = wire;
  if (status !== 'active' && status !== 'trialing') throw new Error(`${status} is not active`);
  return {
    id: wire.id,
    created_at: wire.created_at,
    modified_at: wire.modified_at,
    custom_field_data: {},
    metadata: wire.metadata,
    status,
    amount: wire.amount,
    currency: wire.currency,
    recurring_interval: wire.recurring_interval,
    current_period_start: wire.current_period_start,
    current_period_end: wire.current_period_end,
    trial_start: wire.trial_start,
    trial_end: wire.trial_end,
    cancel_at_period_end: wire.cancel_at_period_end,
    canceled_at: wire.canceled_at,
    started_at: wire.started_at,
    ends_at: wire.ends_at,
    product_id: wire.product_id,
    discount_id: wire.discount_id,
    seats: null,
    units: wire.units,
    meters: [],
  };
}
