import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import { idOf } from '../answer.ts';
import { changePlan } from '../change-plan.ts';
import { cardWorks, declineCheckout, payCheckout } from '../checkouts.ts';
import { sessionOf } from '../customer-sessions.ts';
import type { Emulator } from '../emulator.ts';
import type { Faults } from '../faults.ts';
import { customerById } from '../find-customer.ts';
import { notFound, PolarRefusal } from '../polar-refusal.ts';
import type { CustomerRecord, Records } from '../records.ts';
import { retryPayment } from '../renewals.ts';
import { cancelSubscription, uncancelSubscription } from '../subscriptions.ts';
import { checkoutPage } from './checkout-page.ts';
import { dashboardPage } from './dashboard-page.ts';
import { html, page } from './html.ts';
import { invoicePage, portalPage } from './portal-page.ts';

const planChange = z.object({ product_id: z.guid() });

/** The pages: dashboard, checkout, invoice and customer portal. */
export function pageRoutes(router: Router, emulator: Emulator, faults: Faults): void {
  const { store } = emulator;
  router.get('/', (_request, response) => void response.send(dashboardPage(emulator, faults)));
  router.get('/checkout/:id', (request, response) => {
    response.send(checkoutPage(emulator, store.checkouts.demand(idOf(request))));
  });
  router.get('/checkout/:id/confirmation', (request, response) => {
    response.send(checkoutPage(emulator, store.checkouts.demand(idOf(request))));
  });
  router.post('/checkout/:id/pay', (request, response) => {
    const checkout = store.checkouts.demand(idOf(request));
    const email = z.email().safeParse(request.body?.email).data;
    const refused = messageOf(() => {
      if (!cardWorks(emulator, checkout)) throw new PolarRefusal(402, DECLINED);
      store.transaction(() => payCheckout(emulator, checkout.id, email === undefined ? {} : { email }));
    });
    if (refused === undefined) return response.redirect(303, checkout.wire.success_url);
    return response.status(402).send(checkoutPage(emulator, store.checkouts.demand(checkout.id), refused));
  });
  router.post('/checkout/:id/decline', (request, response) => {
    const checkout = store.transaction(() => declineCheckout(emulator, idOf(request)));
    response.status(402).send(checkoutPage(emulator, checkout, 'Your card was declined.'));
  });
  router.get('/invoices/:id', (request, response) => {
    response.send(invoicePage(emulator, store.orders.demand(idOf(request))));
  });

  router.get('/portal', (request, response) => {
    showPortal(response, portalOf(emulator, request.query.customer_session_token));
  });
  const onPortal = (
    path: string,
    work: (customer: CustomerRecord, body: Record<string, unknown>, subscriptionId: string) => void,
  ) =>
    router.post(`/portal/${path}`, (request: Request, response: Response) => {
      const portal = portalOf(emulator, request.body?.customer_session_token);
      if (!portal) return showPortal(response, undefined);
      const refused = messageOf(() => {
        const id = String(request.body.subscription_id ?? '');
        const owner = id === '' ? portal.customer.id : store.subscriptions.demand(id).wire.customer_id;
        if (owner !== portal.customer.id) throw notFound('Subscription not found.');
        store.transaction(() => work(portal.customer, request.body, id));
      });
      return showPortal(response, portalOf(emulator, portal.session.token), refused);
    });
  onPortal('cancel', (_customer, _body, id) => void cancelSubscription(emulator, id));
  onPortal('uncancel', (_customer, _body, id) => void uncancelSubscription(emulator, id));
  onPortal('change-plan', (_customer, body, id) =>
    changePlan(emulator, id, planChange.parse(body).product_id),
  );
  onPortal('card', (customer, body) => {
    store.customers.put({ ...customer, card_declines: body.declines === 'true' });
  });
  onPortal('pay', (_customer, _body, id) => {
    const order = store.orders
      .all()
      .find(({ wire }) => wire.subscription_id === id && wire.status === 'pending');
    if (!order || !retryPayment(emulator, order.id)) throw new PolarRefusal(402, DECLINED, 'keep');
  });

  const showPortal = (response: Response, portal: Portal | undefined, message?: string) => {
    if (portal) {
      response.status(message === undefined ? 200 : 402);
      response.send(portalPage(emulator, portal.session, portal.customer, message));
    } else {
      response.status(401).send(
        page(
          'Customer portal',
          html`<main class="narrow"><div class="card">
          <h1>This link has expired</h1><p class="soft">Open the portal from your team’s settings again.</p>
        </div></main>`,
        ),
      );
    }
  };
}

interface Portal {
  session: Records['sessions'];
  customer: CustomerRecord;
}

const DECLINED = { error: 'PaymentFailed', detail: 'Your card was declined.' } as const;

function portalOf(emulator: Emulator, token: unknown): Portal | undefined {
  const session = sessionOf(emulator, token);
  return session && { session, customer: customerById(emulator, session.customer_id) };
}

/** The message of a refusal for the page, or undefined if `work` succeeded. */
function messageOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!(error instanceof PolarRefusal)) throw error;
    const { detail } = error.body;
    return typeof detail === 'string' ? detail : detail.map(({ msg }) => msg).join(' ');
  }
}
