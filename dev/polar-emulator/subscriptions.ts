import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { z } from 'zod';
import {
  after,
  answer,
  before,
  bodyOf,
  flag,
  idOf,
  listOf,
  metadataSchema,
  oneOf,
  timestampSchema,
} from './answer.ts';
import { changePlan } from './change-plan.ts';
import type { Emulator } from './emulator.ts';
import { emitStateChange, ofCustomer } from './find-customer.ts';
import { createOrder, saveOrder } from './orders.ts';
import { invalid, notFound, refusal } from './polar-refusal.ts';
import type { SubscriptionRecord } from './records.ts';
import { cycleSubscription, resumeSubscription } from './renewals.ts';
import { isActive, isBillable, toOrder, toSubscription } from './wire.ts';

const cancellation = {
  customer_cancellation_reason: z
    .enum([
      'customer_service',
      'low_quality',
      'missing_features',
      'switched_service',
      'too_complex',
      'too_expensive',
      'unused',
      'other',
    ])
    .nullish(),
  customer_cancellation_comment: z.string().nullish(),
};
const base = z.strictObject({
  metadata: metadataSchema.optional(),
  product_id: z.guid().nullish(),
  proration_behavior: z.enum(['invoice', 'prorate', 'next_period', 'reset']).nullish(),
  trial_end: z.union([z.literal('now'), timestampSchema]).nullish(),
});
const update = z.union([
  z.strictObject({ ...cancellation, cancel_at_period_end: z.boolean() }),
  z.strictObject({ ...cancellation, revoke: z.literal(true) }),
  z.strictObject({ pending_update: z.null() }),
  z.strictObject({ current_billing_period_end: timestampSchema }),
  z.strictObject({ pause_at_period_end: z.boolean(), resumes_at: timestampSchema.nullish() }),
  z.strictObject({ resume: z.literal(true) }),
  base,
]);

/** Subscriptions as the API shows and changes them. */
export function subscriptionRoutes(router: Router, emulator: Emulator): void {
  router.get(
    '/v1/subscriptions/',
    answer(emulator, 200, (request) =>
      listOf(request, emulator.store.subscriptions.all(), (record) => toSubscription(emulator, record), {
        filters: {
          ...ofCustomer(emulator, ({ wire }: SubscriptionRecord) => wire.customer_id),
          product_id: oneOf(({ wire }) => wire.product_id),
          status: oneOf(({ wire }) => wire.status),
          active: flag(({ wire }) => isActive(wire.status)),
          cancel_at_period_end: flag(({ wire }) => wire.cancel_at_period_end),
          started_after: after(({ wire }) => wire.started_at),
          started_before: before(({ wire }) => wire.started_at),
          canceled_at_after: after(({ wire }) => wire.canceled_at),
          canceled_at_before: before(({ wire }) => wire.canceled_at),
        },
        sorting: {
          started_at: ({ wire }) => Date.parse(wire.started_at ?? wire.created_at),
          current_period_end: ({ wire }) => Date.parse(wire.current_period_end),
          ended_at: ({ wire }) => wire.ended_at,
          ends_at: ({ wire }) => wire.ends_at,
          status: ({ wire }) => wire.status,
          amount: ({ wire }) => wire.amount,
        },
        defaultSorting: '-started_at',
        metadata: ({ wire }) => wire.metadata,
      }),
    ),
  );
  router.get(
    '/v1/subscriptions/:id',
    answer(emulator, 200, (request) => toSubscription(emulator, subscriptionById(emulator, idOf(request)))),
  );
  router.delete(
    '/v1/subscriptions/:id',
    answer(emulator, 200, (request) => toSubscription(emulator, revokeSubscription(emulator, idOf(request)))),
  );
  router.patch(
    '/v1/subscriptions/:id',
    answer(emulator, 200, (request) => {
      const { id } = subscriptionById(emulator, idOf(request));
      updateSubscription(emulator, id, bodyOf(update, request));
      return toSubscription(emulator, subscriptionById(emulator, id));
    }),
  );
}

export function subscriptionById(emulator: Emulator, id: string): SubscriptionRecord {
  const record = emulator.store.subscriptions.get(id);
  if (!record) throw notFound('Subscription not found.');
  return record;
}

/**
 * Stores a change of a subscription and emits `subscription.updated`, followed by what the change amounts to, in
 * the order of Polar's `_after_subscription_updated`.
 */
export function saveSubscription(
  emulator: Emulator,
  record: SubscriptionRecord,
  changes: Partial<SubscriptionRecord['wire']>,
  own: Partial<Omit<SubscriptionRecord, 'id' | 'wire'>> = {},
): SubscriptionRecord {
  const before = record.wire;
  const wire = { ...before, ...changes, modified_at: emulator.stamp() };
  const saved = emulator.store.subscriptions.put({ ...record, ...own, wire });
  const emit = (
    type: `subscription.${'updated' | 'active' | 'uncanceled' | 'past_due' | 'canceled' | 'revoked'}`,
  ) => emulator.emit(type, toSubscription(emulator, saved));

  emit('subscription.updated');
  if (isActive(wire.status) && !isActive(before.status) && before.status !== 'paused')
    emit('subscription.active');
  if (wire.canceled_at === null && before.canceled_at !== null) emit('subscription.uncanceled');
  if (wire.status === 'past_due' && before.status !== 'past_due') emit('subscription.past_due');
  const revoked = wire.status === 'canceled' && before.status !== 'canceled';
  if (wire.canceled_at !== null && (before.canceled_at === null || revoked)) emit('subscription.canceled');
  if (revoked) emit('subscription.revoked');
  return saved;
}

export function cancelSubscription(
  emulator: Emulator,
  id: string,
  reason: Partial<Pick<models.OrderSubscription, keyof typeof cancellation>> = {},
): SubscriptionRecord {
  const record = subscriptionById(emulator, id);
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
  const record = subscriptionById(emulator, id);
  if (!isBillable(record.wire.status) || !record.wire.cancel_at_period_end) {
    throw refusal('SubscriptionNotScheduledToCancel', 'This subscription is not scheduled to be canceled.');
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

/** Ends a subscription at once. Pending prorations are invoiced, pending orders are void. */
export function revokeSubscription(
  emulator: Emulator,
  id: string,
  reason: Partial<Pick<models.OrderSubscription, keyof typeof cancellation>> = {},
): SubscriptionRecord {
  const record = subscriptionById(emulator, id);
  if (!isBillable(record.wire.status) && record.wire.status !== 'paused') throw alreadyCanceled();
  return endSubscription(emulator, record, {
    ...reason,
    canceled_at: emulator.stamp(),
    ends_at: emulator.stamp(),
  });
}

/** Brings an ended subscription back, as Polar's staff can. */
export function reinstateSubscription(emulator: Emulator, id: string): SubscriptionRecord {
  const record = subscriptionById(emulator, id);
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

/** Status `canceled` with all that follows; `changes` says why and since when. */
export function endSubscription(
  emulator: Emulator,
  record: SubscriptionRecord,
  changes: Partial<SubscriptionRecord['wire']>,
): SubscriptionRecord {
  const ended = saveSubscription(
    emulator,
    record,
    { ...changes, status: 'canceled', ended_at: emulator.stamp() },
    { pending_items: [], pending_update: null },
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

function updateSubscription(emulator: Emulator, id: string, body: z.infer<typeof update>): void {
  const record = subscriptionById(emulator, id);
  if ('cancel_at_period_end' in body) {
    const { cancel_at_period_end, ...given } = body;
    if (!cancel_at_period_end) uncancelSubscription(emulator, id);
    else cancelSubscription(emulator, id, reasonOf(given));
  } else if ('revoke' in body) {
    const { revoke, ...given } = body;
    revokeSubscription(emulator, id, reasonOf(given));
  } else if ('pending_update' in body) {
    if (record.pending_update === null) {
      throw invalid(['body', 'pending_update'], 'This subscription has no pending update to clear.');
    }
    saveSubscription(emulator, record, {}, { pending_update: null });
  } else if ('current_billing_period_end' in body) {
    moveEnd(emulator, record, new Date(body.current_billing_period_end));
  } else if ('pause_at_period_end' in body) {
    requireRunning(record);
    const resumes_at = body.pause_at_period_end ? (body.resumes_at ?? null) : null;
    saveSubscription(emulator, record, { pause_at_period_end: body.pause_at_period_end, resumes_at });
  } else if ('resume' in body) {
    resumeSubscription(emulator, id);
  } else {
    if (body.metadata) saveSubscription(emulator, record, { metadata: body.metadata });
    if (body.trial_end) changeTrial(emulator, id, body.trial_end);
    if (body.product_id) changePlan(emulator, id, body.product_id, body.proration_behavior ?? undefined);
  }
}

function changeTrial(emulator: Emulator, id: string, end: string): void {
  const record = subscriptionById(emulator, id);
  requireRunning(record);
  const trialing = record.wire.status === 'trialing';
  if (end === 'now' && !trialing)
    throw invalid(['body', 'trial_end'], 'The subscription is not currently trialing.');
  if (end !== 'now' && !trialing && Date.parse(end) <= Date.parse(record.wire.current_period_end)) {
    throw invalid(['body', 'trial_end'], 'Trial end must be after the current period end.', end);
  }
  const trial_end = end === 'now' ? emulator.now().toISOString() : new Date(end).toISOString();
  saveSubscription(emulator, record, {
    status: 'trialing',
    trial_start: record.wire.trial_start ?? emulator.now().toISOString(),
    trial_end,
    current_period_end: trial_end,
  });
  if (end === 'now') cycleSubscription(emulator, id);
}

function moveEnd(emulator: Emulator, record: SubscriptionRecord, end: Date): void {
  requireRunning(record);
  if (end <= emulator.now()) {
    throw invalid(['body', 'current_billing_period_end'], 'Must be in the future.', end.toISOString());
  }
  saveSubscription(
    emulator,
    record,
    { current_period_end: end.toISOString() },
    { anchor_day: end.getUTCDate() },
  );
}

/** Polar invoices what a cancelled subscription still owes as a `subscription_cycle`, though no cycle begins. */
function finalInvoice(emulator: Emulator, record: SubscriptionRecord, items: models.OrderItemSchema[]): void {
  const { customer_id, product_id, checkout_id, metadata } = record.wire;
  const order = createOrder(
    emulator,
    {
      customerId: customer_id,
      productId: product_id,
      subscription: record,
      checkoutId: checkout_id,
      billingReason: 'subscription_cycle',
      items,
      metadata,
      discountId: null,
      discountAmount: 0,
    },
    'paid',
  );
  emulator.emit('order.updated', toOrder(emulator, order));
  emulator.emit('order.paid', toOrder(emulator, order));
}

function requireRunning({ wire }: SubscriptionRecord): void {
  if (wire.cancel_at_period_end || wire.status === 'canceled') throw alreadyCanceled();
  if (!isActive(wire.status)) throw refusal('InactiveSubscription', 'This subscription is not active.');
}

function reasonOf(given: {
  customer_cancellation_reason?: models.CustomerCancellationReason | null | undefined;
  customer_cancellation_comment?: string | null | undefined;
}) {
  return {
    customer_cancellation_reason: given.customer_cancellation_reason ?? null,
    customer_cancellation_comment: given.customer_cancellation_comment ?? null,
  };
}

function alreadyCanceled() {
  return refusal(
    'AlreadyCanceledSubscription',
    'This subscription is already canceled or will be at the end of the period.',
  );
}
