import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { z } from 'zod';
import {
  after,
  before,
  bodyOfAny,
  flag,
  idOf,
  metadataSchema,
  oneOf,
  routesOf,
  timestampSchema,
} from './answer.ts';
import { changePlan } from './change-plan.ts';
import type { Emulator } from './emulator.ts';
import { emitStateChange, ofCustomer } from './find-customer.ts';
import { invalid, refusal } from './polar-refusal.ts';
import type { SubscriptionRecord } from './records.ts';
import { cycleSubscription, resumeSubscription } from './renewals.ts';
import {
  alreadyCanceled,
  cancelSubscription,
  putSubscription,
  revokeSubscription,
  saveSubscription,
  uncancelSubscription,
} from './subscriptions.ts';
import { isActive, toSubscription } from './wire.ts';

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
const update = {
  SubscriptionUpdateBase: base,
  SubscriptionUpdateBillingPeriod: z.strictObject({ current_billing_period_end: timestampSchema }),
  SubscriptionCancel: z.strictObject({ ...cancellation, cancel_at_period_end: z.boolean() }),
  SubscriptionRevoke: z.strictObject({ ...cancellation, revoke: z.literal(true) }),
  SubscriptionUpdateClear: z.strictObject({ pending_update: z.null() }),
  SubscriptionPause: z.strictObject({
    pause_at_period_end: z.boolean(),
    resumes_at: timestampSchema.nullish(),
  }),
  SubscriptionResume: z.strictObject({ resume: z.literal(true) }),
};
type Update = z.infer<(typeof update)[keyof typeof update]>;

/** Subscriptions as the API shows and changes them. */
export function subscriptionRoutes(router: Router, emulator: Emulator): void {
  const { list, get, patch, remove } = routesOf(router, emulator);
  list('/v1/subscriptions/', {
    rows: () => emulator.store.subscriptions.all(),
    present: (record) => toSubscription(emulator, record),
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
  });
  get('/v1/subscriptions/:id', (request) =>
    toSubscription(emulator, emulator.store.subscriptions.demand(idOf(request))),
  );
  remove(
    '/v1/subscriptions/:id',
    (request) => toSubscription(emulator, revokeSubscription(emulator, idOf(request))),
    200,
  );
  patch('/v1/subscriptions/:id', (request) => {
    const { id } = emulator.store.subscriptions.demand(idOf(request));
    updateSubscription(emulator, id, bodyOfAny(updatesAt(emulator), request));
    return toSubscription(emulator, emulator.store.subscriptions.demand(id));
  });
}

/** Polar's schema refuses a period end in the past. */
function updatesAt(emulator: Emulator) {
  const inFuture = timestampSchema.refine(
    (time) => Date.parse(time) > emulator.now().getTime(),
    'Datetime must be in the future',
  );
  return {
    ...update,
    SubscriptionUpdateBillingPeriod: z.strictObject({ current_billing_period_end: inFuture }),
  };
}

function updateSubscription(emulator: Emulator, id: string, body: Update): void {
  const record = emulator.store.subscriptions.demand(id);
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
    saveSubscription(emulator, record, {}, { pending_update: null, pending_period_start: null });
    emitStateChange(emulator, record.wire.customer_id);
  } else if ('current_billing_period_end' in body) {
    moveEnd(emulator, record, new Date(body.current_billing_period_end));
  } else if ('pause_at_period_end' in body) {
    requireRunning(record);
    const resumes_at = body.pause_at_period_end ? (body.resumes_at ?? null) : null;
    saveSubscription(emulator, record, { pause_at_period_end: body.pause_at_period_end, resumes_at });
    emitStateChange(emulator, record.wire.customer_id);
  } else if ('resume' in body) {
    resumeSubscription(emulator, id);
  } else {
    if (body.metadata) saveSubscription(emulator, record, { metadata: body.metadata });
    if (body.trial_end) changeTrial(emulator, id, body.trial_end);
    if (body.product_id) changePlan(emulator, id, body.product_id, body.proration_behavior ?? undefined);
  }
}

/** A trial given to an active subscription sets `trial_end` and leaves `trial_start` unchanged, as at Polar. */
function changeTrial(emulator: Emulator, id: string, end: string): void {
  const record = emulator.store.subscriptions.demand(id);
  requireRunning(record);
  const trialing = record.wire.status === 'trialing';
  if (end === 'now' && !trialing)
    throw invalid(['body', 'trial_end'], 'The subscription is not currently trialing.');
  if (end !== 'now' && !trialing && Date.parse(end) <= Date.parse(record.wire.current_period_end)) {
    throw invalid(['body', 'trial_end'], 'Trial end must be after the current period end.', end);
  }
  const trial_end = end === 'now' ? emulator.now().toISOString() : new Date(end).toISOString();
  const changes = { status: 'trialing' as const, trial_end, current_period_end: trial_end };
  const own = record.pending_update ? { pending_period_start: trial_end } : {};
  if (end === 'now') {
    putSubscription(emulator, record, changes, own);
    cycleSubscription(emulator, id);
    return;
  }
  saveSubscription(emulator, record, changes, own);
  emitStateChange(emulator, record.wire.customer_id);
}

/** Moves the period's end. A pending update keeps its own `applies_at`, as at Polar. */
function moveEnd(emulator: Emulator, record: SubscriptionRecord, end: Date): void {
  requireRunning(record);
  saveSubscription(
    emulator,
    record,
    { current_period_end: end.toISOString() },
    { anchor_day: end.getUTCDate() },
  );
  emitStateChange(emulator, record.wire.customer_id);
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
