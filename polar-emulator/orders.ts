import { randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { after, before, idOf, oneOf, routesOf } from './answer.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { ofCustomer } from './find-customer.ts';
import { notFound, refusal } from './polar-refusal.ts';
import type { OrderRecord, SubscriptionRecord } from './records.ts';
import { toOrder } from './wire.ts';

/** Orders: paid or pending. Checkouts, renewals and plan changes create them, never the API. */
export function orderRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post } = routesOf(router, emulator);
  list('/v1/orders/', {
    rows: () => emulator.store.orders.all(),
    present: (order) => toOrder(emulator, order),
    filters: {
      ...ofCustomer(emulator, ({ wire }: OrderRecord) => wire.customer_id),
      product_id: oneOf(({ wire }) => wire.product_id),
      checkout_id: oneOf(({ wire }) => wire.checkout_id),
      subscription_id: oneOf(({ wire }) => wire.subscription_id),
      status: oneOf(({ wire }) => wire.status),
      created_after: after(({ wire }) => wire.created_at),
      created_before: before(({ wire }) => wire.created_at),
      product_billing_type: ({ wire }, values) =>
        values.includes(wire.subscription_id === null ? 'one_time' : 'recurring'),
    },
    sorting: {
      created_at: ({ wire }) => Date.parse(wire.created_at),
      net_amount: ({ wire }) => wire.net_amount,
      amount: ({ wire }) => wire.total_amount,
      status: ({ wire }) => wire.status,
    },
    metadata: ({ wire }) => wire.metadata,
  });
  get('/v1/orders/:id', (request) => toOrder(emulator, emulator.store.orders.demand(idOf(request))));
  post(
    '/v1/orders/:id/invoice',
    (request) => {
      const order = emulator.store.orders.demand(idOf(request));
      if (!order.wire.paid) throw refusal('OrderNotEligibleForInvoice', 'This order is not paid.');
      saveOrder(emulator, order, { is_invoice_generated: true });
      return {};
    },
    202,
  );
  get('/v1/orders/:id/invoice', (request): models.OrderInvoice => {
    const { wire } = emulator.store.orders.demand(idOf(request));
    if (!wire.is_invoice_generated) throw notFound('Invoice not generated yet.');
    return { url: `${emulator.url}/invoices/${wire.id}` };
  });
}

export interface NewOrder {
  status: 'pending' | 'paid';
  customerId: string;
  productId: string;
  subscription: SubscriptionRecord | null;
  checkoutId?: string;
  billingReason: models.OrderBillingReason;
  items: models.OrderItemSchema[];
  metadata: models.MetadataOutputType;
  discountId?: string | null;
  /** Cents taken off the items that are not prorations. */
  discountAmount?: number;
  units?: number | null;
}

/** An order's amounts in cents. The customer's credit pays first. A negative order becomes credit of the customer. */
export function orderAmounts(
  emulator: Emulator,
  order: Pick<NewOrder, 'customerId' | 'items' | 'discountAmount'>,
) {
  const balance = emulator.store.customers.get(order.customerId)?.balance ?? 0;
  const subtotal = order.items.reduce((sum, { amount }) => sum + amount, 0);
  const discount = order.discountAmount ?? 0;
  const { net, tax, total } = taxed(emulator, subtotal - discount);
  const applied = total > 0 ? -Math.min(balance, total) : 0;
  return { subtotal, discount, net, tax, total, applied, due: Math.max(0, total + applied) };
}

/** Splits an amount into net and tax. Prices may include the tax. Credited amounts have no tax. */
export function taxed(emulator: Emulator, amount: number): { net: number; tax: number; total: number } {
  const { tax_basis_points, tax_inclusive } = organizationOf(emulator);
  if (amount <= 0) return { net: amount, tax: 0, total: amount };
  if (tax_inclusive) {
    const net = Math.round((amount * 10_000) / (10_000 + tax_basis_points));
    return { net, tax: amount - net, total: amount };
  }
  const tax = Math.round((amount * tax_basis_points) / 10_000);
  return { net: amount, tax, total: amount + tax };
}

/** Creates a pending order, or one that is paid from the start, and emits `order.created`. */
export function createOrder(emulator: Emulator, order: NewOrder): OrderRecord {
  const { status } = order;
  const amounts = orderAmounts(emulator, order);
  const customer = emulator.store.customers.get(order.customerId);
  if (customer && (amounts.applied !== 0 || amounts.total < 0)) {
    const owed = amounts.total < 0 ? -amounts.total : amounts.applied;
    emulator.store.customers.put({ ...customer, balance: customer.balance + owed });
  }
  const id = randomUUID();
  const { billing_name, billing_address } = emulator.store.customers.demand(order.customerId).wire;
  // The order of a trial is created in its final state. An order paid at a checkout has been written twice at this
  // point.
  const modified_at =
    status === 'paid' && order.subscription?.wire.status !== 'trialing' ? emulator.stamp() : null;
  const number = emulator.store.orders.all().length + 1;
  const record: OrderRecord = {
    id,
    wire: {
      id,
      created_at: emulator.stamp(),
      modified_at,
      status,
      paid: status === 'paid',
      subtotal_amount: amounts.subtotal,
      discount_amount: amounts.discount,
      net_amount: amounts.net,
      tax_amount: amounts.tax,
      total_amount: amounts.total,
      applied_balance_amount: amounts.applied,
      due_amount: amounts.due,
      refunded_amount: 0,
      refunded_tax_amount: 0,
      currency: 'usd',
      billing_reason: order.billingReason,
      billing_name,
      billing_address,
      invoice_number: `EMULATOR-${String(number).padStart(6, '0')}`,
      is_invoice_generated: false,
      receipt_number: null,
      seats: null,
      units: order.units ?? null,
      customer_id: order.customerId,
      product_id: order.productId,
      discount_id: order.discountId ?? null,
      subscription_id: order.subscription?.id ?? null,
      checkout_id: order.checkoutId ?? null,
      next_payment_attempt_at: null,
      metadata: order.metadata,
      custom_field_data: {},
      platform_fee_amount: 0,
      platform_fee_currency: null,
      items: order.items,
      description: emulator.store.products.demand(order.productId).name,
      refundable_amount: Math.max(0, amounts.net + amounts.applied),
      refundable_tax_amount: amounts.tax,
    },
    item_timestamps: organizationOf(emulator).item_timestamps,
    failed_attempts: 0,
    first_failed_at: null,
  };
  emulator.store.orders.put(record);
  emulator.emit('order.created', toOrder(emulator, record));
  return record;
}

/** The order is paid: `order.updated`, `order.paid`, and `order.updated` with Polar's fee. */
export function settleOrder(emulator: Emulator, order: OrderRecord): void {
  const paid = saveOrder(emulator, order, { status: 'paid', paid: true, next_payment_attempt_at: null });
  emulator.emit('order.updated', toOrder(emulator, paid));
  bookFee(emulator, emitPaid(emulator, paid));
}

/** `order.paid`. If money was taken, the order has a receipt at this point. */
export function emitPaid(emulator: Emulator, order: OrderRecord): OrderRecord {
  const number = order.wire.invoice_number?.split('-').at(-1);
  const receipt = order.wire.due_amount > 0 ? { receipt_number: `RCPT-EMULATOR-${number}` } : undefined;
  const paid = receipt ? saveOrder(emulator, order, receipt) : order;
  emulator.emit('order.paid', toOrder(emulator, paid));
  return paid;
}

/** Polar books its fee of 5 % and 50 cents after the payment: one more `order.updated`. */
export function bookFee(emulator: Emulator, order: OrderRecord): void {
  if (order.wire.due_amount <= 0) return;
  const platform_fee_amount = Math.round(order.wire.due_amount * 0.05) + 50;
  const booked = saveOrder(emulator, order, { platform_fee_amount, platform_fee_currency: 'usd' });
  emulator.emit('order.updated', toOrder(emulator, booked));
}

export function saveOrder(
  emulator: Emulator,
  order: OrderRecord,
  changes: Partial<OrderRecord['wire']>,
  own: Partial<Pick<OrderRecord, 'failed_attempts' | 'first_failed_at'>> = {},
): OrderRecord {
  const wire = { ...order.wire, ...changes, modified_at: emulator.stamp() };
  return emulator.store.orders.put({ ...order, ...own, wire });
}

/** A line of an order. Prorations and renewals have a period; packs have none. */
export function orderItem(
  emulator: Emulator,
  line: {
    label: string;
    amount: number;
    priceId: string | null;
    proration?: boolean;
    period?: readonly [Date, Date];
  },
): models.OrderItemSchema {
  return {
    created_at: emulator.stamp(),
    modified_at: null,
    id: randomUUID(),
    label: line.label,
    amount: line.amount,
    tax_amount: organizationOf(emulator).tax_inclusive ? 0 : taxed(emulator, line.amount).tax,
    proration: line.proration ?? false,
    product_price_id: line.priceId,
    start_timestamp: line.period?.[0].toISOString() ?? null,
    end_timestamp: line.period?.[1].toISOString() ?? null,
  };
}

/** `X — From Jan 31, 2026 to Feb 28, 2026`: Polar's label for a line with a period. */
export function periodLabel(name: string, start: Date, end: Date): string {
  return `${name} — From ${day(start)} to ${day(end)}`;
}

/** `Jan 31, 2026 - Feb 7, 2026`. */
export function periodDays([start, end]: readonly [Date, Date]): string {
  return `${day(start)} - ${day(end)}`;
}

function day(date: Date): string {
  return date.toLocaleDateString('en-US', {
    month: 'short',
    day: 'numeric',
    year: 'numeric',
    timeZone: 'UTC',
  });
}
