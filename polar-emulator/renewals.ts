import type { models } from '@polar-sh/sdk/2026-10';
import { cycleDiscount } from './discounts.ts';
import type { Emulator } from './emulator.ts';
import { emitStateChange } from './find-customer.ts';
import { createOrder, orderItem, periodLabel, saveOrder, settleOrder } from './orders.ts';
import { periodEnd } from './periods.ts';
import { invalid, refusal } from './polar-refusal.ts';
import type { OrderRecord, SubscriptionRecord } from './records.ts';
import { emitSubscriptionChange, endSubscription, saveSubscription } from './subscriptions.ts';
import { fixedPriceOf, isActive, toCheckout, toSubscription } from './wire.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** The days after the first failure on which Polar retries a renewal's payment. */
const DUNNING_DAYS = [2, 7, 14, 21];

/**
 * When a period is over, the subscription ends, pauses, or enters its next period. The new period begins before its
 * order is paid, and also if it is not paid: cycled → updated → order.created → order.updated → order.paid.
 */
export function cycleSubscription(emulator: Emulator, id: string): void {
  const record = emulator.store.subscriptions.demand(id);
  if (!isActive(record.wire.status))
    throw refusal('InactiveSubscription', 'This subscription is not active.');
  if (record.wire.cancel_at_period_end) {
    endSubscription(emulator, record, {});
  } else if (record.wire.pause_at_period_end) {
    saveSubscription(emulator, record, {
      status: 'paused',
      paused_at: emulator.stamp(),
      pause_at_period_end: false,
    });
    emitStateChange(emulator, record.wire.customer_id);
  } else {
    startPeriod(emulator, record, new Date(record.pending_period_start ?? record.wire.current_period_end));
  }
}

/** Ends the current period now and starts [now, now + interval). */
export function renewNow(emulator: Emulator, id: string): void {
  const record = emulator.store.subscriptions.demand(id);
  const now = emulator.now();
  const wire = { ...record.wire, current_period_end: now.toISOString() };
  emulator.store.subscriptions.put({ ...record, wire, anchor_day: now.getUTCDate() });
  cycleSubscription(emulator, id);
}

export function resumeSubscription(emulator: Emulator, id: string): void {
  const record = emulator.store.subscriptions.demand(id);
  if (record.wire.status !== 'paused') throw invalid(['body', 'resume'], 'This subscription is not paused.');
  startPeriod(emulator, { ...record, anchor_day: emulator.now().getUTCDate() }, emulator.now());
}

/** Charges the due amount of an order, unless the card or the next payment is set to fail. */
export function charge(
  emulator: Emulator,
  customerId: string,
  subscriptionId: string | null,
  due: number,
): boolean {
  if (due === 0) return true;
  const record = subscriptionId === null ? undefined : emulator.store.subscriptions.get(subscriptionId);
  if (record && record.failing_payments > 0) {
    emulator.store.subscriptions.put({ ...record, failing_payments: record.failing_payments - 1 });
    return false;
  }
  return emulator.store.customers.get(customerId)?.card_declines !== true;
}

/** Retries a pending order's payment, as dunning or the customer does. */
export function retryPayment(emulator: Emulator, orderId: string): boolean {
  const order = emulator.store.orders.demand(orderId);
  const { subscription_id, customer_id, due_amount, status } = order.wire;
  if (status !== 'pending' || subscription_id === null)
    throw invalid(['path', 'id'], 'This order is not pending.');
  if (!charge(emulator, customer_id, subscription_id, due_amount)) {
    failPayment(emulator, order, subscription_id);
    return false;
  }
  const record = emulator.store.subscriptions.demand(subscription_id);
  if (record.wire.status === 'past_due') {
    saveSubscription(emulator, record, { status: 'active', past_due_at: null });
  }
  settleOrder(emulator, order);
  emitStateChange(emulator, customer_id);
  return true;
}

/**
 * Does everything that is due by the clock, one thing at a time in order of time, each at its due time: renewals,
 * ends, dunning, resumptions, checkouts that expire. Returns the number of things done.
 */
export function renewDue(emulator: Emulator): number {
  for (let done = 0; ; done++) {
    const due = dueActions(emulator).reduce<Due | undefined>(
      (first, next) => (first && first.at <= next.at ? first : next),
      undefined,
    );
    if (!due || due.at > emulator.now().getTime()) return done;
    emulator.at(new Date(due.at), () => emulator.store.transaction(due.run));
  }
}

interface Due {
  at: number;
  run: () => void;
}

function dueActions(emulator: Emulator): Due[] {
  const { store } = emulator;
  return [
    ...store.subscriptions
      .all()
      .filter(({ wire }) => isActive(wire.status))
      .map(({ id, wire }) => ({
        at: Date.parse(wire.current_period_end),
        run: () => cycleSubscription(emulator, id),
      })),
    ...store.subscriptions
      .all()
      .filter(({ wire }) => wire.status === 'paused' && wire.resumes_at !== null)
      .map(({ id, wire }) => ({
        at: Date.parse(wire.resumes_at ?? ''),
        run: () => resumeSubscription(emulator, id),
      })),
    ...store.orders
      .all()
      .filter(({ wire }) => wire.status === 'pending' && typeof wire.next_payment_attempt_at === 'string')
      .map(({ id, wire }) => ({
        at: Date.parse(wire.next_payment_attempt_at ?? ''),
        run: () => void retryPayment(emulator, id),
      })),
    ...store.checkouts
      .all()
      .filter(({ wire }) => wire.status === 'open')
      .map((checkout) => ({
        at: Date.parse(checkout.wire.expires_at),
        run: () => {
          const wire = { ...checkout.wire, status: 'expired' as const, modified_at: emulator.stamp() };
          emulator.emit('checkout.expired', toCheckout(emulator, store.checkouts.put({ ...checkout, wire })));
        },
      })),
  ];
}

function startPeriod(emulator: Emulator, record: SubscriptionRecord, start: Date): void {
  const pending = record.pending_update;
  const product = emulator.store.products.demand(pending?.product_id ?? record.wire.product_id);
  const interval = product.recurring_interval ?? record.wire.recurring_interval;
  const count = product.recurring_interval_count ?? record.wire.recurring_interval_count;
  const intervalChanged =
    interval !== record.wire.recurring_interval || count !== record.wire.recurring_interval_count;
  const anchor_day =
    intervalChanged || record.wire.status === 'trialing' ? start.getUTCDate() : record.anchor_day;
  const end = periodEnd(start, anchor_day, interval, count);
  const amount = pending?.product_id ? fixedPriceOf(product).price_amount : record.base_amount;
  const discount = cycleDiscount(emulator, record, start, product.id, amount);

  const wire: models.OrderSubscription = {
    ...record.wire,
    status: 'active',
    paused_at: null,
    resumes_at: null,
    product_id: product.id,
    amount: amount - discount.amount,
    recurring_interval: interval,
    recurring_interval_count: count,
    current_period_start: start.toISOString(),
    current_period_end: end.toISOString(),
    discount_id: discount.id,
    modified_at: emulator.stamp(),
  };
  const next: SubscriptionRecord = {
    ...record,
    wire,
    anchor_day,
    base_amount: amount,
    pending_update: null,
    pending_period_start: null,
    pending_items: [],
    discount_applied_at: discount.appliedAt,
  };
  const saved = emulator.store.subscriptions.put(next);
  if (record.wire.status === 'paused') {
    emitSubscriptionChange(emulator, record.wire, saved);
  } else {
    emulator.emit('subscription.cycled', toSubscription(emulator, saved));
    // The start of a period is not an activation, even at the end of a trial: only `updated` follows.
    emitSubscriptionChange(emulator, saved.wire, saved);
  }

  const items = [
    orderItem(emulator, {
      label: periodLabel(product.name, start, end),
      amount,
      priceId: fixedPriceOf(product).id,
      period: [start, end],
    }),
    ...record.pending_items,
  ];
  const order = createOrder(emulator, {
    status: 'pending',
    customerId: wire.customer_id,
    productId: product.id,
    subscription: saved,
    billingReason: 'subscription_cycle',
    items,
    metadata: wire.metadata,
    discountId: discount.id,
    discountAmount: discount.amount,
  });
  if (charge(emulator, wire.customer_id, record.id, order.wire.due_amount)) settleOrder(emulator, order);
  else failPayment(emulator, order, record.id);
  emitStateChange(emulator, wire.customer_id);
}

function failPayment(emulator: Emulator, order: OrderRecord, subscriptionId: string): void {
  const record = emulator.store.subscriptions.demand(subscriptionId);
  const first = order.first_failed_at ?? emulator.now().toISOString();
  const retryDay = DUNNING_DAYS[order.failed_attempts];
  const next = retryDay === undefined ? null : new Date(Date.parse(first) + retryDay * dayMs).toISOString();
  saveOrder(
    emulator,
    order,
    { next_payment_attempt_at: next },
    { failed_attempts: order.failed_attempts + 1, first_failed_at: first },
  );
  if (next === null) {
    const canceled_at = emulator.stamp();
    endSubscription(emulator, record, { canceled_at, ends_at: canceled_at });
  } else if (record.wire.status !== 'past_due') {
    saveSubscription(emulator, record, { status: 'past_due', past_due_at: emulator.now().toISOString() });
  }
}
