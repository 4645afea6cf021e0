import { randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { z } from 'zod';
import { bodyOf, metadataSchema, oneOf, routesOf } from './answer.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { ofCustomer } from './find-customer.ts';
import { saveOrder } from './orders.ts';
import { invalid, refusal } from './polar-refusal.ts';
import type { Records } from './records.ts';
import { toOrder, toRefund } from './wire.ts';

export const refundRequest = z.strictObject({
  order_id: z.guid(),
  reason: z.enum([
    'duplicate',
    'fraudulent',
    'customer_request',
    'service_disruption',
    'satisfaction_guarantee',
    'other',
  ]),
  amount: z.int().min(1),
  comment: z.string().nullish(),
  revoke_benefits: z.boolean().optional(),
  metadata: metadataSchema.optional(),
});

/** Refunds. `amount` is without tax. An order's `refunded_amount` is the sum of its succeeded refunds. */
export function refundRoutes(router: Router, emulator: Emulator): void {
  const { list, post } = routesOf(router, emulator);
  list('/v1/refunds/', {
    rows: () => emulator.store.refunds.all(),
    present: (refund) => toRefund(emulator, refund),
    filters: {
      ...ofCustomer(emulator, ({ customer_id }: Records['refunds']) => customer_id),
      id: oneOf(({ id }) => id),
      order_id: oneOf(({ order_id }) => order_id),
      subscription_id: oneOf(({ subscription_id }) => subscription_id),
      succeeded: ({ status }, [value]) => String(status === 'succeeded') === value,
    },
    sorting: {
      created_at: ({ created_at }) => Date.parse(created_at),
      amount: ({ amount }) => amount,
    },
  });
  post('/v1/refunds/', (request) => {
    const { metadata, revoke_benefits, comment, ...body } = bodyOf(refundRequest, request);
    if (revoke_benefits && emulator.store.orders.get(body.order_id)?.wire.subscription_id) {
      throw refusal(
        'RevokeSubscriptionBenefitsProhibited',
        'Subscription benefits can only be revoked upon cancellation',
      );
    }
    const refund = refundOrder(emulator, body.order_id, body.amount, body.reason, {
      metadata: metadata ?? {},
    });
    return toRefund(emulator, refund);
  });
}

/**
 * Refunds `amount` cents: refund.created → order.updated → order.refunded → refund.updated, twice. The subscription
 * continues.
 */
export function refundOrder(
  emulator: Emulator,
  orderId: string,
  amount: number,
  reason: models.RefundReason,
  more: { metadata?: models.MetadataOutputType; disputeId?: string } = {},
): Records['refunds'] {
  const order = emulator.store.orders.get(orderId);
  if (!order) throw invalid(['body', 'order_id'], 'Order not found', orderId);
  if (order.wire.status === 'refunded') {
    throw refusal('RefundedAlready', `Order is already fully refunded: ${orderId}`);
  }
  if (!order.wire.paid) throw invalid(['body', 'order_id'], 'This order is not paid.', orderId);
  const { refundable_amount, refundable_tax_amount, net_amount, tax_amount: orderTax } = order.wire;
  if (amount > refundable_amount) {
    throw invalid(['body', 'amount'], 'Refund amount exceeds refundable amount', amount);
  }
  const tax_amount =
    amount === refundable_amount ? refundable_tax_amount : Math.round((amount * orderTax) / net_amount);
  const refund = emulator.store.refunds.put({
    created_at: emulator.stamp(),
    modified_at: null,
    id: randomUUID(),
    metadata: more.metadata ?? {},
    status: 'succeeded',
    reason,
    amount,
    tax_amount,
    currency: 'usd',
    organization_id: organizationOf(emulator).id,
    order_id: orderId,
    subscription_id: order.wire.subscription_id,
    customer_id: order.wire.customer_id,
    revoke_benefits: false,
    dispute_id: more.disputeId ?? null,
  });
  emulator.emit('refund.created', toRefund(emulator, refund));
  const refunded = addToRefunded(emulator, orderId, amount, tax_amount);
  emulator.emit('order.refunded', refunded);
  // The payment processor reports twice that the refund has succeeded.
  emulator.emit('refund.updated', toRefund(emulator, refund));
  emulator.emit('refund.updated', toRefund(emulator, refund));
  return refund;
}

/** The bank returned a refund: it is `failed`. Only order.updated and refund.updated are sent. */
export function reverseRefund(emulator: Emulator, id: string): Records['refunds'] {
  const refund = emulator.store.refunds.demand(id);
  if (refund.status !== 'succeeded') throw invalid(['path', 'id'], 'This refund does not stand.', id);
  addToRefunded(emulator, refund.order_id, -refund.amount, -refund.tax_amount);
  const failed = emulator.store.refunds.put({ ...refund, status: 'failed', modified_at: emulator.stamp() });
  emulator.emit('refund.updated', toRefund(emulator, failed));
  return failed;
}

function addToRefunded(emulator: Emulator, orderId: string, amount: number, tax: number): models.Order {
  const order = emulator.store.orders.demand(orderId);
  const refunded_amount = order.wire.refunded_amount + amount;
  const refundable_amount = order.wire.refundable_amount - amount;
  const saved = saveOrder(emulator, order, {
    status: refunded_amount === 0 ? 'paid' : refundable_amount === 0 ? 'refunded' : 'partially_refunded',
    refunded_amount,
    refunded_tax_amount: order.wire.refunded_tax_amount + tax,
    refundable_amount,
    refundable_tax_amount: order.wire.refundable_tax_amount - tax,
  });
  const wire = toOrder(emulator, saved);
  emulator.emit('order.updated', wire);
  return wire;
}
