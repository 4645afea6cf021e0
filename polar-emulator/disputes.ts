import { randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { idOf, oneOf, routesOf } from './answer.ts';
import type { Emulator } from './emulator.ts';
import { invalid, refusal } from './polar-refusal.ts';
import { refundOrder } from './refunds.ts';
import { toDispute } from './wire.ts';

const OPEN: models.DisputeStatus[] = ['early_warning', 'needs_response', 'under_review'];
const weekMs = 7 * 24 * 60 * 60 * 1000;

/** Disputes. They have no webhook: clients must list them. */
export function disputeRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post } = routesOf(router, emulator);
  list('/v1/disputes/', {
    rows: () => emulator.store.disputes.all(),
    present: (dispute) => toDispute(emulator, dispute),
    filters: { order_id: oneOf(({ order_id }) => order_id), status: oneOf(({ status }) => status) },
    sorting: { created_at: ({ created_at }) => Date.parse(created_at), amount: ({ amount }) => amount },
  });
  get('/v1/disputes/:id', (request) => toDispute(emulator, emulator.store.disputes.demand(idOf(request))));
  post(
    '/v1/disputes/:id/accept',
    (request) => toDispute(emulator, closeDispute(emulator, idOf(request), 'lost')),
    200,
  );
}

/**
 * The payer's bank disputes `amount` cents (default: all that is refundable). With `prevented`, Polar returns the
 * money itself before a dispute opens: there is a refund that names the dispute.
 */
export function openDispute(
  emulator: Emulator,
  orderId: string,
  given: { amount?: number | undefined; status?: 'needs_response' | 'prevented' | undefined } = {},
): models.RefundDispute {
  const order = emulator.store.orders.demand(orderId);
  const { paid, refundable_amount, refundable_tax_amount } = order.wire;
  if (!paid) throw invalid(['path', 'id'], 'This order is not paid.', orderId);
  const status = given.status ?? 'needs_response';
  const amount = given.amount ?? refundable_amount;
  const dispute = emulator.store.disputes.put({
    created_at: emulator.stamp(),
    modified_at: null,
    id: randomUUID(),
    status,
    resolved: status === 'prevented',
    closed: status === 'prevented',
    amount,
    tax_amount: amount === refundable_amount ? refundable_tax_amount : 0,
    currency: 'usd',
    reason: 'fraudulent',
    evidence_due_by: new Date(emulator.now().getTime() + weekMs).toISOString(),
    past_due: false,
    order_id: orderId,
    payment_id: randomUUID(),
  });
  if (status === 'prevented') {
    refundOrder(emulator, orderId, amount, 'dispute_prevention', { disputeId: dispute.id });
  }
  return dispute;
}

export function closeDispute(emulator: Emulator, id: string, status: 'won' | 'lost'): models.RefundDispute {
  const dispute = emulator.store.disputes.demand(id);
  if (!OPEN.includes(dispute.status)) throw refusal('DisputeNotOpenError', 'This dispute is not open.');
  const modified_at = emulator.stamp();
  return emulator.store.disputes.put({ ...dispute, status, resolved: true, closed: true, modified_at });
}
