import { randomBytes, randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { z } from 'zod';
import { bodyOf, idOf, metadataSchema, oneOf, parameterOf, routesOf } from './answer.ts';
import { address, createCustomer, filled, saveBillingAddress } from './customers.ts';
import { discountAmount, isApplicable } from './discounts.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { emitStateChange, livingCustomers, ofCustomer } from './find-customer.ts';
import { membersOf } from './members.ts';
import { bookFee, createOrder, periodDays as days, emitPaid, orderItem, taxed } from './orders.ts';
import { periodEnd } from './periods.ts';
import { invalid, notFound, PolarRefusal, refusal } from './polar-refusal.ts';
import type { CheckoutRecord, SubscriptionRecord } from './records.ts';
import { charge } from './renewals.ts';
import { fixedPriceOf, isBillable, toCheckout, toCustomer, toOrder, toSubscription } from './wire.ts';

const dayMs = 24 * 60 * 60 * 1000;
const interval = z.enum(['day', 'week', 'month', 'year']);
const create = z.strictObject({
  products: z.array(z.guid()).min(1),
  metadata: metadataSchema.optional(),
  customer_metadata: metadataSchema.optional(),
  customer_id: z.guid().nullish(),
  external_customer_id: z.string().nullish(),
  customer_name: z.string().nullish(),
  customer_email: z.email().nullish(),
  customer_ip_address: z.string().nullish(),
  is_business_customer: z.boolean().optional(),
  discount_id: z.guid().nullish(),
  allow_discount_codes: z.boolean().optional(),
  require_billing_address: z.boolean().optional(),
  allow_trial: z.boolean().optional(),
  trial_interval: interval.nullish(),
  trial_interval_count: z.int().min(1).nullish(),
  units: z.int().min(1).nullish(),
  success_url: z.url().nullish(),
  return_url: z.url().nullish(),
  embed_origin: z.string().nullish(),
  locale: z.string().nullish(),
  currency: z.literal('usd').nullish(),
});

/** Checkouts: created by the API, paid or declined on their page or by the control API, open for 24 hours. */
export function checkoutRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post } = routesOf(router, emulator);
  list('/v1/checkouts/', {
    rows: () => emulator.store.checkouts.all(),
    present: (checkout) => toCheckout(emulator, checkout),
    filters: {
      ...ofCustomer(emulator, ({ wire }: CheckoutRecord) => wire.customer_id),
      product_id: oneOf(({ wire }) => wire.product_id),
      status: oneOf(({ wire }) => wire.status),
    },
    sorting: {
      created_at: ({ wire }) => Date.parse(wire.created_at),
      expires_at: ({ wire }) => Date.parse(wire.expires_at),
      status: ({ wire }) => wire.status,
    },
    metadata: ({ wire }) => wire.metadata,
  });
  post('/v1/checkouts/', (request) => createCheckout(emulator, bodyOf(create, request)));
  post(
    '/v1/checkouts/client/:client_secret/confirm',
    (request) => {
      const secret = parameterOf(request, 'client_secret');
      const checkout = emulator.store.checkouts.all().find(({ wire }) => wire.client_secret === secret);
      if (!checkout) throw notFound('Checkout not found.');
      const { customer_billing_address, customer_name, customer_email } = bodyOf(confirm, request);
      if (customer_billing_address) requireWholeAddress(customer_billing_address);
      if (!cardWorks(emulator, checkout)) throw refusal('PaymentFailed', 'The card was declined.');
      const paid = payCheckout(emulator, checkout.id, {
        ...(customer_email ? { email: customer_email } : {}),
        ...(customer_name ? { name: customer_name } : {}),
        ...(customer_billing_address ? { billing_address: customer_billing_address } : {}),
      });
      return toCheckout(emulator, paid);
    },
    200,
  );
  get('/v1/checkouts/:id', (request) => toCheckout(emulator, emulator.store.checkouts.demand(idOf(request))));
}

/** The payer's input at the checkout. `email` is used only if the checkout has no customer. */
export const payer = z.strictObject({
  email: z.email().optional(),
  name: z.string().min(1).optional(),
  billing_address: address.optional(),
});
/** The body that the checkout page sends. Polar's real page sends more fields. */
const confirm = z.object({
  customer_billing_address: address.nullish(),
  customer_name: z.string().nullish(),
  customer_email: z.email().nullish(),
});

/** If the tax depends on the place, Polar requires the complete address. */
function requireWholeAddress(given: z.infer<typeof address>): void {
  if (given.country !== 'US') return;
  const missing = (['state', 'city', 'postal_code', 'line1'] as const).filter((field) => !given[field]);
  if (missing.length === 0) return;
  throw new PolarRefusal(422, {
    error: 'PolarRequestValidationError',
    detail: missing.map((field) => ({
      type: 'missing',
      loc: ['body', 'customer_billing_address', field],
      msg: 'Field is required.',
      input: null,
    })),
  });
}

const someAddress = {
  line1: '1 Main St',
  postal_code: '94104',
  city: 'San Francisco',
  state: 'US-CA',
  country: 'US',
};

/**
 * Pays an open checkout: checkout.updated (confirmed), then for a plan customer.updated → subscription.created →
 * active → updated, then order.created → updated → paid → checkout.updated → order.updated.
 */
export function payCheckout(
  emulator: Emulator,
  id: string,
  given: z.infer<typeof payer> = {},
): CheckoutRecord {
  const checkout = requireOpen(emulator, id);
  const product = emulator.store.products.demand(checkout.wire.product_id ?? '');
  const customerId = checkout.wire.customer_id ?? payerOf(emulator, checkout, given.email);
  const metadata = checkout.wire.metadata;
  if (product.is_recurring) requireNoSubscription(emulator, customerId);
  const customer = emulator.store.customers.get(customerId)?.wire;
  const billing_address = given.billing_address ?? customer?.billing_address ?? someAddress;
  saveBillingAddress(emulator, customerId, billing_address);
  const confirmed: CheckoutRecord = {
    ...checkout,
    wire: {
      ...checkout.wire,
      status: 'confirmed',
      customer_id: customerId,
      customer_name: given.name ?? checkout.wire.customer_name ?? 'A Payer',
      customer_email: customer?.email ?? checkout.wire.customer_email,
      customer_billing_name: emulator.store.customers.demand(customerId).wire.billing_name,
      customer_billing_address: filled(billing_address),
      ...checkoutAmounts(emulator, checkout.wire.amount - checkout.wire.discount_amount, true),
      modified_at: emulator.stamp(),
    },
  };
  emulator.store.checkouts.put(confirmed);
  emulator.emit('checkout.updated', toCheckout(emulator, confirmed));
  const paid: CheckoutRecord = { ...confirmed, wire: { ...confirmed.wire, status: 'succeeded' } };
  const emitCustomer = () => {
    emulator.emit('customer.updated', toCustomer(emulator.store.customers.demand(customerId).wire));
    emitStateChange(emulator, customerId);
  };
  if (product.is_recurring) emitCustomer();
  const subscription = product.is_recurring ? subscribe(emulator, paid, product) : null;
  const trialing = subscription?.wire.status === 'trialing';
  const price = fixedPriceOf(product);
  const period = subscription
    ? ([
        new Date(subscription.wire.current_period_start),
        new Date(subscription.wire.current_period_end),
      ] as const)
    : undefined;
  const item = orderItem(emulator, {
    label: trialing && period ? `Trial period for ${product.name} (${days(period)})` : product.name,
    amount: trialing ? 0 : checkout.wire.amount,
    priceId: trialing ? null : price.id,
    ...(period ? { period } : {}),
  });
  const order = createOrder(emulator, {
    status: 'paid',
    customerId,
    productId: product.id,
    subscription,
    checkoutId: checkout.id,
    billingReason: subscription ? 'subscription_create' : 'purchase',
    items: [item],
    metadata,
    discountId: checkout.wire.discount_id,
    discountAmount: trialing ? 0 : checkout.wire.discount_amount,
    units: checkout.wire.units,
  });
  emulator.emit('order.updated', toOrder(emulator, order));
  const settled = emitPaid(emulator, order);
  const wire = { ...paid.wire, modified_at: emulator.stamp() };
  const saved = emulator.store.checkouts.put({ ...paid, wire });
  emulator.emit('checkout.updated', toCheckout(emulator, saved));
  if (!product.is_recurring) emitCustomer();
  bookFee(emulator, settled);
  emitStateChange(emulator, customerId);
  return saved;
}

/** The payer's card is declined. The checkout stays open for another attempt. */
export function declineCheckout(emulator: Emulator, id: string): CheckoutRecord {
  const checkout = requireOpen(emulator, id);
  const wire = { ...checkout.wire, modified_at: emulator.stamp() };
  const declined = emulator.store.checkouts.put({ ...checkout, wire });
  emulator.emit('checkout.updated', toCheckout(emulator, declined));
  return declined;
}

/** Whether a payment would succeed: the customer's card may be set to decline. */
export function cardWorks(emulator: Emulator, { wire }: CheckoutRecord): boolean {
  return wire.customer_id === null || charge(emulator, wire.customer_id, null, wire.total_amount);
}

function createCheckout(emulator: Emulator, body: z.infer<typeof create>): models.Checkout {
  const products = body.products.map((id, index) => {
    const product = emulator.store.products.get(id);
    if (!product) throw invalid(['body', 'products', index], 'Product does not exist.', id);
    if (product.is_archived) throw invalid(['body', 'products', index], 'Product is archived.', id);
    return product;
  });
  const [product] = products;
  if (!product) throw invalid(['body', 'products'], 'Field required');
  const customer = customerOf(emulator, body);
  const discount = emulator.store.discounts.get(body.discount_id ?? '');
  if (body.discount_id && (!discount || !isApplicable(discount, product.id))) {
    throw invalid(
      ['body', 'discount_id'],
      'Discount does not exist, is not applicable to this product or is not redeemable.',
      body.discount_id,
    );
  }

  const price = fixedPriceOf(product);
  const amount = price.price_amount * (body.units ?? 1);
  const discount_amount = discountAmount(discount, product.id, amount);
  const { net_amount, ...tax } = checkoutAmounts(
    emulator,
    amount - discount_amount,
    customer !== undefined && customer.billing_address !== null,
  );
  const allow_trial = body.allow_trial ?? true;
  const trial_interval = body.trial_interval ?? product.trial_interval;
  const trial_interval_count = body.trial_interval_count ?? product.trial_interval_count;
  const active = product.is_recurring && allow_trial && trial_interval !== null;
  const now = emulator.now();
  const trial_end = active
    ? periodEnd(now, now.getUTCDate(), trial_interval, trial_interval_count ?? 1)
    : null;
  const id = randomUUID();
  const client_secret = `polar_c_${randomBytes(24).toString('base64url')}`;

  const record: CheckoutRecord = {
    id,
    product_ids: products.map((each) => each.id),
    wire: {
      id,
      created_at: emulator.stamp(),
      modified_at: null,
      custom_field_data: {},
      payment_processor: 'stripe',
      status: 'open',
      client_secret,
      expires_at: new Date(now.getTime() + dayMs).toISOString(),
      success_url: (body.success_url ?? `${emulator.url}/checkout/${id}/confirmation`).replaceAll(
        '{CHECKOUT_ID}',
        id,
      ),
      return_url: body.return_url ?? null,
      embed_origin: body.embed_origin ?? null,
      amount,
      seats: null,
      min_seats: null,
      max_seats: null,
      units: body.units ?? null,
      min_units: null,
      max_units: null,
      discount_amount,
      net_amount,
      ...tax,
      currency: 'usd',
      allow_trial,
      active_trial_interval: active ? trial_interval : null,
      active_trial_interval_count: active ? (trial_interval_count ?? 1) : null,
      trial_end: trial_end?.toISOString() ?? null,
      organization_id: organizationOf(emulator).id,
      product_id: product.id,
      product_price_id: price.id,
      discount_id: discount?.id ?? null,
      allow_discount_codes: body.allow_discount_codes ?? true,
      require_billing_address: body.require_billing_address ?? false,
      is_discount_applicable: amount > 0,
      is_free_product_price: amount === 0,
      is_payment_required: net_amount > 0 && !active,
      is_payment_setup_required: product.is_recurring,
      is_payment_form_required: net_amount > 0 || product.is_recurring,
      customer_id: customer?.id ?? null,
      is_business_customer:
        body.is_business_customer ?? (customer !== undefined && customer.billing_address !== null),
      customer_name: body.customer_name ?? null,
      customer_email: body.customer_email ?? (customer ? emailOf(emulator, customer) : null),
      customer_ip_address: body.customer_ip_address ?? null,
      customer_billing_name: customer?.billing_name ?? null,
      customer_billing_address: customer?.billing_address ?? null,
      customer_tax_id: null,
      locale: body.locale ?? customer?.locale ?? null,
      payment_method_type: null,
      payment_processor_metadata: {},
      billing_address_fields: {
        country: 'required',
        state: 'disabled',
        city: 'disabled',
        postal_code: 'disabled',
        line1: 'disabled',
        line2: 'disabled',
      },
      trial_interval: body.trial_interval ?? null,
      trial_interval_count: body.trial_interval_count ?? null,
      metadata: body.metadata ?? {},
      external_customer_id: body.external_customer_id ?? null,
      subscription_id: null,
      attached_custom_fields: [],
      customer_metadata: body.customer_metadata ?? {},
    },
  };
  const checkout = toCheckout(emulator, emulator.store.checkouts.put(record));
  emulator.emit('checkout.created', checkout);
  return checkout;
}

/** A checkout's amounts in cents. Tax is unknown until the payer's country is known. */
function checkoutAmounts(
  emulator: Emulator,
  amount: number,
  countryKnown: boolean,
): Pick<models.Checkout, 'net_amount' | 'tax_amount' | 'tax_behavior' | 'total_amount'> {
  if (!countryKnown) {
    return { net_amount: amount, tax_amount: null, tax_behavior: null, total_amount: amount };
  }
  const { net, tax, total } = taxed(emulator, amount);
  const tax_behavior = organizationOf(emulator).tax_inclusive ? 'inclusive' : 'exclusive';
  return { net_amount: net, tax_amount: tax, tax_behavior, total_amount: total };
}

/** The e-mail of a team customer is its owner's. */
function emailOf(emulator: Emulator, { id, email }: models.OrderCustomer): string | null {
  return email ?? membersOf(emulator, id).find(({ role }) => role === 'owner')?.email ?? null;
}

function customerOf(emulator: Emulator, body: z.infer<typeof create>): models.OrderCustomer | undefined {
  const living = livingCustomers(emulator).map(({ wire }) => wire);
  if (body.customer_id) {
    const customer = living.find(({ id }) => id === body.customer_id);
    if (!customer) throw invalid(['body', 'customer_id'], 'Customer does not exist.', body.customer_id);
    return customer;
  }
  return body.external_customer_id
    ? living.find(({ external_id }) => external_id === body.external_customer_id)
    : undefined;
}

/** As at Polar, an existing customer with the same e-mail is used, and the checkout's external id is ignored. */
function payerOf(emulator: Emulator, { wire }: CheckoutRecord, typed: string | undefined): string {
  const email = wire.customer_email ?? typed;
  if (!email) throw invalid(['body', 'customer_email'], 'Field required');
  const known = livingCustomers(emulator).find(
    (customer) => customer.wire.email?.toLowerCase() === email.toLowerCase(),
  );
  if (known) return known.id;
  return createCustomer(emulator, {
    email,
    name: wire.customer_name,
    external_id: wire.external_customer_id,
    metadata: wire.customer_metadata,
  }).id;
}

function subscribe(
  emulator: Emulator,
  { wire, ...checkout }: CheckoutRecord,
  product: models.Product,
): SubscriptionRecord {
  const now = emulator.now();
  const interval = product.recurring_interval ?? 'month';
  const count = product.recurring_interval_count ?? 1;
  const price = fixedPriceOf(product).price_amount;
  const trialing = wire.active_trial_interval !== null;
  const end = wire.active_trial_interval
    ? periodEnd(now, now.getUTCDate(), wire.active_trial_interval, wire.active_trial_interval_count ?? 1)
    : periodEnd(now, now.getUTCDate(), interval, count);
  const id = randomUUID();
  const record: SubscriptionRecord = {
    id,
    anchor_day: now.getUTCDate(),
    base_amount: price,
    pending_update: null,
    pending_period_start: null,
    pending_items: [],
    discount_applied_at: wire.discount_id === null || trialing ? null : now.toISOString(),
    failing_payments: 0,
    wire: {
      metadata: wire.metadata,
      created_at: emulator.stamp(),
      modified_at: null,
      id,
      amount: price - discountAmount(emulator.store.discounts.get(wire.discount_id ?? ''), product.id, price),
      currency: 'usd',
      recurring_interval: interval,
      recurring_interval_count: count,
      status: trialing ? 'trialing' : 'active',
      current_period_start: now.toISOString(),
      current_period_end: end.toISOString(),
      current_meter_period_start: null,
      current_meter_period_end: null,
      trial_start: trialing ? now.toISOString() : null,
      trial_end: trialing ? end.toISOString() : null,
      cancel_at_period_end: false,
      canceled_at: null,
      started_at: now.toISOString(),
      ends_at: null,
      ended_at: null,
      past_due_at: null,
      pause_at_period_end: false,
      paused_at: null,
      resumes_at: null,
      customer_id: wire.customer_id ?? '',
      product_id: product.id,
      discount_id: wire.discount_id,
      checkout_id: checkout.id,
      seats: null,
      units: null,
      customer_cancellation_reason: null,
      customer_cancellation_comment: null,
    },
  };
  emulator.store.subscriptions.put(record);
  const subscription = toSubscription(emulator, record);
  emulator.emit('subscription.created', subscription);
  emulator.emit('subscription.active', subscription);
  emulator.emit('subscription.updated', subscription);
  return record;
}

function requireOpen(emulator: Emulator, id: string): CheckoutRecord {
  const checkout = emulator.store.checkouts.demand(id);
  if (
    checkout.wire.status === 'expired' ||
    Date.parse(checkout.wire.expires_at) <= emulator.now().getTime()
  ) {
    throw refusal('ExpiredCheckoutError', 'This checkout session has expired.');
  }
  if (checkout.wire.status !== 'open') throw refusal('NotOpenCheckout', 'This checkout is not open.');
  return checkout;
}

function requireNoSubscription(emulator: Emulator, customerId: string): void {
  if (organizationOf(emulator).subscription_settings.allow_multiple_subscriptions) return;
  const has = emulator.store.subscriptions
    .all()
    .some(({ wire }) => wire.customer_id === customerId && isBillable(wire.status));
  if (has) throw refusal('AlreadyActiveSubscriptionError', 'You already have an active subscription.');
}
