import type { models } from '@polar-sh/sdk/2026-10';
import type { Emulator } from './emulator.ts';
import { emitStateChange } from './find-customer.ts';
import { bookFee, createOrder, emitPaid, saveOrder } from './orders.ts';
import { invalid, refusal } from './polar-refusal.ts';
import type { SubscriptionRecord } from './records.ts';
import { isActive, isBillable, toOrder, toSubscription } from './wire.ts';

type CancellationReason = Partial<
  Pick<models.OrderSubscription, 'customer_cancellation_reason' | 'customer_cancellation_comment'>
>;

/** Stores a change of a subscription and emits the events of that change. */
export function saveSubscription(
  emulator: Emulator,
  record: SubscriptionRecord,
  changes: Partial<SubscriptionRecord['wire']>,
  own: Partial<Omit<SubscriptionRecord, 'id' | 'wire'>> = {},
): SubscriptionRecord {
  const saved = putSubscription(emulator, record, changes, own);
  emitSubscriptionChange(emulator, record.wire, saved);
  return saved;
}

/**
 * Stores a change of a subscription without an event. A change of its pending update, or of a field that only the
 * server knows, does not change `modified_at`, as at Polar.
 */
export function putSubscription(
  emulator: Emulator,
  record: SubscriptionRecord,
  changes: Partial<SubscriptionRecord['wire']>,
  own: Partial<Omit<SubscriptionRecord, 'id' | 'wire'>> = {},
): SubscriptionRecord {
  const touched = Object.keys(changes).length > 0;
  const wire = { ...record.wire, ...changes, ...(touched ? { modified_at: emulator.stamp() } : {}) };
  return emulator.store.subscriptions.put({ ...record, ...own, wire });
}

/**
 * Emits `subscription.updated`, then the events of the change from `before`, in the order of Polar's
 * `_after_subscription_updated`.
 */
export function emitSubscriptionChange(
  emulator: Emulator,
  before: SubscriptionRecord['wire'],
  saved: SubscriptionRecord,
): void {
  const { wire } = saved;
  const emit = (
    type: `subscription.${'updated' | 'active' | 'uncanceled' | 'past_due' | 'canceled' | 'revoked' | 'paused' | 'resumed'}`,
  ) => emulator.emit(type, toSubscription(emulator, saved));

  emit('subscription.updated');
  if (isActive(wire.status) && !isActive(before.status) && before.status !== 'paused')
    emit('subscription.active');
  if (wire.canceled_at === null && before.canceled_at !== null) emit('subscription.uncanceled');
  if (wire.status === 'past_due' && before.status !== 'past_due') emit('subscription.past_due');
  const revoked = wire.status === 'canceled' && before.status !== 'canceled';
  if (wire.canceled_at !== null && (before.canceled_at === null || revoked)) emit('subscription.canceled');
  if (revoked) emit('subscription.revoked');
  if (wire.status === 'paused' && before.status !== 'paused') emit('subscription.paused');
  if (isActive(wire.status) && before.status === 'paused') emit('subscription.resumed');
}

export function cancelSubscription(
  emulator: Emulator,
  id: string,
  reason: CancellationReason = {},
): SubscriptionRecord {
  const record = emulator.store.subscriptions.demand(id);
  if (!isBillable(record.wire.status) || record.wire.cancel_at_period_end) throw alreadyCanceled();
  const canceled = saveSubscription(emulator, record, {
    ...reason,
    cancel_at_period_end: true,
    canceled_at: emulator.stamp(),
    ends_at: record.wire.current_period_end,
  });
  emitStateChange(emulator, record.wire.customer_id);
  return canceled;
}

export function uncancelSubscription(emulator: Emulator, id: string): SubscriptionRecord {
  const record = emulator.store.subscriptions.demand(id);
  if (record.wire.ended_at !== null) throw refusal('ResourceUnavailable', 'Unavailable');
  if (!isBillable(record.wire.status) || !record.wire.cancel_at_period_end) {
    throw refusal('BadRequest', 'Bad request');
  }
  const uncanceled = saveSubscription(emulator, record, {
    cancel_at_period_end: false,
    canceled_at: null,
    ends_at: null,
    customer_cancellation_reason: null,
    customer_cancellation_comment: null,
  });
  emitStateChange(emulator, record.wire.customer_id);
  return uncanceled;
}

/** Ends a subscription at once. Pending prorations are invoiced, pending orders become void. */
export function revokeSubscription(
  emulator: Emulator,
  id: string,
  reason: CancellationReason = {},
): SubscriptionRecord {
  const record = emulator.store.subscriptions.demand(id);
  if (!isBillable(record.wire.status) && record.wire.status !== 'paused') throw alreadyCanceled();
  return endSubscription(emulator, record, {
    ...reason,
    canceled_at: emulator.stamp(),
    ends_at: emulator.stamp(),
  });
}

/** Reinstates an ended subscription, as Polar's staff can. */
export function reinstateSubscription(emulator: Emulator, id: string): SubscriptionRecord {
  const record = emulator.store.subscriptions.demand(id);
  if (record.wire.status !== 'canceled') throw invalid(['path', 'id'], 'This subscription has not ended.');
  const reinstated = saveSubscription(emulator, record, {
    status: 'active',
    cancel_at_period_end: false,
    canceled_at: null,
    ends_at: null,
    ended_at: null,
    past_due_at: null,
  });
  emitStateChange(emulator, record.wire.customer_id);
  return reinstated;
}

/** Sets the status `canceled` with its events. `changes` says why and since when. */
export function endSubscription(
  emulator: Emulator,
  record: SubscriptionRecord,
  changes: Partial<SubscriptionRecord['wire']>,
): SubscriptionRecord {
  const ended = saveSubscription(
    emulator,
    record,
    { ...changes, status: 'canceled', ended_at: emulator.stamp() },
    { pending_items: [], pending_update: null, pending_period_start: null },
  );
  for (const order of emulator.store.orders.all()) {
    if (order.wire.subscription_id !== record.id || order.wire.status !== 'pending') continue;
    const voided = saveOrder(emulator, order, { status: 'void', next_payment_attempt_at: null });
    emulator.emit('order.updated', toOrder(emulator, voided));
  }
  if (record.pending_items.length > 0) finalInvoice(emulator, ended, record.pending_items);
  emitStateChange(emulator, record.wire.customer_id);
  return ended;
}

/**
 * For the remaining debt of a canceled subscription Polar makes an order with `subscription_cycle`, though no cycle
 * begins.
 */
function finalInvoice(emulator: Emulator, record: SubscriptionRecord, items: models.OrderItemSchema[]): void {
  const { customer_id, product_id, metadata } = record.wire;
  const order = createOrder(emulator, {
    status: 'paid',
    customerId: customer_id,
    productId: product_id,
    subscription: record,
    billingReason: 'subscription_cycle',
    items,
    metadata,
  });
  emulator.emit('order.updated', toOrder(emulator, order));
  bookFee(emulator, emitPaid(emulator, order));
}

export function alreadyCanceled() {
  return refusal(
    'AlreadyCanceledSubscription',
    'This subscription is already canceled or will be at the end of the period.',
  );
}
