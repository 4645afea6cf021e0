import type { Request, RequestHandler, Router } from 'express';
import { z } from 'zod';
import { answer, bodyOf, idOf, routesOf } from './answer.ts';
import { changePlan } from './change-plan.ts';
import { cardWorks, declineCheckout, payCheckout, payer } from './checkouts.ts';
import { closeDispute, openDispute } from './disputes.ts';
import type { Emulator } from './emulator.ts';
import { type Faults, faultRequest } from './faults.ts';
import { customerById } from './find-customer.ts';
import type { Past } from './past.ts';
import { invalid, refusal } from './polar-refusal.ts';
import { refundOrder, refundRequest, reverseRefund } from './refunds.ts';
import { cycleSubscription, renewDue, renewNow, resumeSubscription, retryPayment } from './renewals.ts';
import {
  cancelSubscription,
  reinstateSubscription,
  revokeSubscription,
  saveSubscription,
  uncancelSubscription,
} from './subscriptions.ts';
import type { WebhookDelivery } from './webhook-delivery.ts';
import { toCheckout, toDispute, toOrder, toRefund, toSubscription } from './wire.ts';

const planChange = z.strictObject({
  product_id: z.guid(),
  proration_behavior: z.enum(['invoice', 'prorate', 'next_period', 'reset']).optional(),
});
const times = z.strictObject({ times: z.coerce.number().int().min(0).default(1) });
const card = z.strictObject({ declines: z.stringbool().or(z.boolean()) });
const refund = z.strictObject({
  amount: z.coerce.number().int().min(1).optional(),
  reason: refundRequest.shape.reason.default('customer_request'),
});
const time = z.strictObject({ at: z.iso.datetime().nullable() });
const dispute = z.strictObject({
  amount: z.coerce.number().int().min(1).optional(),
  status: z.enum(['needs_response', 'prevented']).optional(),
});

/**
 * The actions of payers, banks and Polar's staff, as an API for tests, the demo and the pages: everything under
 * `/emulator/`. JSON in, JSON out. A form is redirected to the page that it came from.
 */
export function controlRoutes(
  router: Router,
  emulator: Emulator,
  delivery: WebhookDelivery,
  faults: Faults,
  past: Past,
): void {
  const { get } = routesOf(router, emulator);
  const { store } = emulator;
  router.use('/emulator', sameSiteOnly);

  const post = (path: string, work: (request: Request) => unknown) => {
    const asJson = answer(emulator, 200, work);
    const asForm: RequestHandler = (request, response) => {
      store.transaction(() => work(request));
      response.redirect(303, request.get('referer') ?? '/');
    };
    router.post(`/emulator${path}`, (request, response, next) =>
      (request.is('urlencoded') ? asForm : asJson)(request, response, next),
    );
  };
  const onSubscription = (name: string, work: (id: string, request: Request) => unknown) =>
    post(`/subscriptions/:id/${name}`, (request) => {
      const { id } = store.subscriptions.demand(idOf(request));
      work(id, request);
      return toSubscription(emulator, store.subscriptions.demand(id));
    });

  post('/checkouts/:id/pay', (request) => {
    const checkout = store.checkouts.demand(idOf(request));
    if (!cardWorks(emulator, checkout)) throw refusal('PaymentFailed', 'The card was declined.');
    return toCheckout(emulator, payCheckout(emulator, checkout.id, bodyOf(payer, request)));
  });
  post('/checkouts/:id/decline', (request) => toCheckout(emulator, declineCheckout(emulator, idOf(request))));

  onSubscription('renew-now', (id) => renewNow(emulator, id));
  onSubscription('renew', (id) => {
    const end = new Date(store.subscriptions.demand(id).wire.current_period_end);
    emulator.at(end, () => cycleSubscription(emulator, id));
  });
  onSubscription('fail-next-payment', (id, request) =>
    store.subscriptions.put({
      ...store.subscriptions.demand(id),
      failing_payments: bodyOf(times, request).times,
    }),
  );
  onSubscription('pay-past-due', (id) => {
    const order = store.orders
      .all()
      .find(({ wire }) => wire.subscription_id === id && wire.status === 'pending');
    if (!order) throw invalid(['path', 'id'], 'This subscription has no pending order.', id);
    store.subscriptions.put({ ...store.subscriptions.demand(id), failing_payments: 0 });
    store.customers.put({ ...customerById(emulator, order.wire.customer_id), card_declines: false });
    retryPayment(emulator, order.id);
  });
  onSubscription('cancel', (id) => cancelSubscription(emulator, id));
  onSubscription('uncancel', (id) => uncancelSubscription(emulator, id));
  onSubscription('revoke', (id) => revokeSubscription(emulator, id));
  onSubscription('reinstate', (id) => reinstateSubscription(emulator, id));
  onSubscription('pause', (id) =>
    saveSubscription(emulator, store.subscriptions.demand(id), { pause_at_period_end: true }),
  );
  onSubscription('resume', (id) => resumeSubscription(emulator, id));
  onSubscription('change-plan', (id, request) => {
    const { product_id, proration_behavior } = bodyOf(planChange, request);
    changePlan(emulator, id, product_id, proration_behavior);
  });

  post('/customers/:id/card', (request) => {
    const customer = customerById(emulator, idOf(request));
    const { declines } = bodyOf(card, request);
    return store.customers.put({ ...customer, card_declines: declines });
  });
  post('/orders/:id/refund', (request) => {
    const { wire } = store.orders.demand(idOf(request));
    const { amount, reason } = bodyOf(refund, request);
    return toRefund(
      emulator,
      refundOrder(emulator, wire.id, amount ?? Math.max(1, wire.refundable_amount), reason),
    );
  });
  post('/orders/:id/retry', (request) => {
    retryPayment(emulator, idOf(request));
    return toOrder(emulator, store.orders.demand(idOf(request)));
  });
  post('/orders/:id/dispute', (request) =>
    toDispute(emulator, openDispute(emulator, idOf(request), bodyOf(dispute, request))),
  );
  post('/refunds/:id/reverse', (request) => toRefund(emulator, reverseRefund(emulator, idOf(request))));
  post('/disputes/:id/win', (request) => toDispute(emulator, closeDispute(emulator, idOf(request), 'won')));
  post('/disputes/:id/lose', (request) => toDispute(emulator, closeDispute(emulator, idOf(request), 'lost')));

  get('/emulator/webhooks', () =>
    store.events.all().map(({ wire, ...event }) => ({
      id: wire.id,
      type: wire.type,
      succeeded: wire.succeeded ?? null,
      skipped: wire.skipped,
      last_http_code: wire.last_http_code ?? null,
      endpoint_id: event.endpoint_id,
      attempts: event.attempts,
      held: event.held,
      created_at: wire.created_at,
    })),
  );
  post('/webhooks/release', () => delivery.release());
  post('/webhooks/:id/redeliver', (request) => delivery.redeliver(idOf(request)));

  get('/emulator/faults', faults.list);
  post('/faults', (request) => {
    faults.add(bodyOf(faultRequest, request));
    return faults.list();
  });
  post('/faults/clear', () => faults.clear());
  post('/time', (request) => {
    const { at } = bodyOf(time, request);
    return { events: past.set(at === null ? null : new Date(at)) };
  });
  post('/renew-due', () => ({ done: renewDue(emulator) }));
  get('/emulator/health', () => ({ status: 'ok', now: emulator.now().toISOString() }));
}

/** A page of another site must not send these requests through the developer's browser. */
const sameSiteOnly: RequestHandler = (request, _response, next) => {
  const site = request.get('sec-fetch-site');
  if (request.method !== 'GET' && site !== undefined && site !== 'same-origin' && site !== 'none') {
    throw refusal('NotPermitted', 'Cross-site requests are not permitted.');
  }
  next();
};
