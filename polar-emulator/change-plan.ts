import { randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import { discountAmount } from './discounts.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { emitStateChange } from './find-customer.ts';
import { createOrder, type NewOrder, orderAmounts, orderItem, periodLabel, settleOrder } from './orders.ts';
import { periodEnd, prorate } from './periods.ts';
import { invalid, PolarRefusal, refusal } from './polar-refusal.ts';
import type { SubscriptionRecord } from './records.ts';
import { charge, cycleSubscription } from './renewals.ts';
import { emitSubscriptionChange, putSubscription, saveSubscription } from './subscriptions.ts';
import { fixedPriceOf, isActive } from './wire.ts';

/**
 * Changes a subscription's product as Polar does (`subscription/update.py`):
 *
 * | behaviour | plan | money |
 * |---|---|---|
 * | `invoice` | now | prorations now: unused time is credited, the rest of the period is charged |
 * | `prorate` | now | the same lines, on the next order |
 * | `next_period` | at the period's end | the next renewal has the new plan's price |
 * | `reset` | now, and a new period starts now | the full price, now |
 *
 * A discount applies to each line of a proration, never to the order: with 100 % every line is 0. Prices of 0 make no line.
 * Source: `subscription/update.py`.
 *
 * Another interval starts a new period now and is invoiced at once, with every behaviour except `next_period`.
 * If the charge fails, the answer is 402 and nothing changes.
 */
export function changePlan(
  emulator: Emulator,
  id: string,
  productId: string,
  behavior: models.SubscriptionProrationBehavior = organizationOf(emulator).proration_behavior,
): void {
  const record = emulator.store.subscriptions.demand(id);
  const product = requireProduct(emulator, record, productId);
  const { wire } = record;
  if (behavior === 'reset' && !organizationOf(emulator).feature_settings?.reset_proration_behavior_enabled) {
    throw invalid(
      ['body', 'proration_behavior'],
      "The 'reset' proration behavior is not enabled for this organization.",
      behavior,
    );
  }
  if (product.id === wire.product_id) {
    if (record.pending_update)
      saveSubscription(emulator, record, {}, { pending_update: null, pending_period_start: null });
    return;
  }
  const price = fixedPriceOf(product);
  const interval = product.recurring_interval ?? wire.recurring_interval;
  const count = product.recurring_interval_count ?? wire.recurring_interval_count;
  const discount = emulator.store.discounts.get(wire.discount_id ?? '');
  const discounted = (discountedProductId: string, amount: number) =>
    amount - discountAmount(discount, discountedProductId, amount);
  const plan = {
    product_id: product.id,
    amount: discounted(product.id, price.price_amount),
    recurring_interval: interval,
    recurring_interval_count: count,
  };

  if (behavior === 'next_period') {
    const pending_update = { ...pendingUpdate(emulator, record), product_id: product.id };
    saveSubscription(
      emulator,
      record,
      {},
      { pending_update, pending_period_start: pending_update.applies_at },
    );
    emitStateChange(emulator, wire.customer_id);
    return;
  }
  if (wire.status === 'trialing') {
    // Nothing is billed in a trial. Changing to a plan without a trial ends it.
    const trialEnd = product.trial_interval === null ? emulator.now().toISOString() : wire.current_period_end;
    saveSubscription(
      emulator,
      record,
      { ...plan, trial_end: trialEnd, current_period_end: trialEnd },
      { pending_update: null, pending_period_start: null, base_amount: price.price_amount },
    );
    if (product.trial_interval === null) cycleSubscription(emulator, id);
    return;
  }

  const now = emulator.now();
  const start = new Date(wire.current_period_start);
  const end = new Date(wire.current_period_end);
  const newPeriod =
    behavior === 'reset' || interval !== wire.recurring_interval || count !== wire.recurring_interval_count;
  const newStart = newPeriod ? now : start;
  const newEnd = newPeriod ? periodEnd(now, now.getUTCDate(), interval, count) : end;
  const old = emulator.store.products.demand(wire.product_id);
  const items = [...record.pending_items];
  if (behavior !== 'reset' && record.base_amount > 0) {
    items.push(
      orderItem(emulator, {
        label: `Remaining time on ${periodLabel(old.name, now, end)}`,
        amount: -prorate(discounted(old.id, record.base_amount), start, end, now),
        priceId: fixedPriceOf(old).id,
        proration: true,
        period: [now, end],
      }),
    );
  }
  if (price.price_amount > 0) {
    items.push(
      orderItem(emulator, {
        label: periodLabel(product.name, now, newEnd),
        amount: prorate(discounted(product.id, price.price_amount), newStart, newEnd, now),
        priceId: price.id,
        proration: true,
        period: [now, newEnd],
      }),
    );
  }
  const immediate = (newPeriod || behavior === 'invoice') && items.length > 0;
  const order: NewOrder = {
    status: 'pending',
    customerId: wire.customer_id,
    productId: product.id,
    subscription: record,
    billingReason: 'subscription_update',
    items,
    metadata: wire.metadata,
    discountId: wire.discount_id,
  };
  if (immediate && !charge(emulator, wire.customer_id, id, orderAmounts(emulator, order).due)) {
    // Only the failed attempt is stored.
    throw new PolarRefusal(402, { error: 'PaymentFailed', detail: 'The payment failed.' }, 'keep');
  }
  const changed = putSubscription(
    emulator,
    emulator.store.subscriptions.demand(id),
    {
      ...plan,
      current_period_start: newStart.toISOString(),
      current_period_end: newEnd.toISOString(),
    },
    {
      base_amount: price.price_amount,
      pending_update: null,
      pending_period_start: null,
      pending_items: immediate ? [] : items,
      anchor_day: newPeriod ? now.getUTCDate() : record.anchor_day,
    },
  );
  const made = immediate ? createOrder(emulator, { ...order, subscription: changed }) : undefined;
  emitSubscriptionChange(emulator, wire, changed);
  if (made) settleOrder(emulator, made);
  emitStateChange(emulator, wire.customer_id);
}

function requireProduct(emulator: Emulator, { wire }: SubscriptionRecord, productId: string): models.Product {
  if (wire.cancel_at_period_end || wire.status === 'canceled') {
    throw refusal(
      'AlreadyCanceledSubscription',
      'This subscription is already canceled or will be at the end of the period.',
    );
  }
  if (!isActive(wire.status)) throw refusal('InactiveSubscription', 'This subscription is not active.');
  const product = emulator.store.products.get(productId);
  if (!product) throw invalid(['body', 'product_id'], 'Product does not exist.', productId);
  if (product.is_archived) throw invalid(['body', 'product_id'], 'Product is archived.', productId);
  if (!product.is_recurring) throw invalid(['body', 'product_id'], 'Product is not recurring.', productId);
  return product;
}

function pendingUpdate(
  emulator: Emulator,
  { wire, pending_update }: SubscriptionRecord,
): models.PendingSubscriptionUpdate {
  if (pending_update) return { ...pending_update, modified_at: emulator.stamp() };
  return {
    created_at: emulator.stamp(),
    modified_at: null,
    id: randomUUID(),
    applies_at: wire.current_period_end,
    product_id: null,
    seats: null,
    units: null,
  };
}
