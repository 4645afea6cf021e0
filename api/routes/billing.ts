import { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';
import { createCheckout } from '../../polar/create-checkout.ts';
import { openInvoice } from '../../polar/list-invoices.ts';
import { openPortal } from '../../polar/open-portal.ts';
import { checkoutStatuses, followCheckout } from '../../reconciliation/follow-checkout.ts';
import { idempotentElsewhere } from '../../teams/idempotent.ts';
import { billingRoles } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, linkOut, listQuery, nullableText, pageOf, teamParams } from '../shapes.ts';
import { signalEvent } from '../temporal-link.ts';

const billingAccess = { services: ['billing'], persons: billingRoles } as const;
const atPolar = [
  'polar_not_found',
  'polar_unavailable',
  'polar_refused',
  'polar_unreadable',
] as const satisfies readonly ErrorCode[];
/** The errors if the team has no customer at Polar and cannot get one. */
const noCustomer = [
  'team_deleted',
  'team_without_owner',
  'payments_not_ready',
  'polar_conflict',
] as const satisfies readonly ErrorCode[];

const invoiceOut = z
  .strictObject({
    id: z.string().meta({ examples: ['0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a001'] }),
    number: nullableText('WVL-0001'),
    status: z.string().meta({ description: 'The status at Polar', examples: ['paid'] }),
    paid: z.boolean(),
    reason: z
      .string()
      .meta({ description: 'Polar’s reason for the order', examples: ['subscription_cycle'] }),
    product: nullableText('pro_monthly', 'The key of the plan or pack'),
    description: z.string().meta({ examples: ['Pro, monthly'] }),
    totalAmount: z.int().meta({ description: 'With tax, in the currency’s minor units', examples: [5900] }),
    taxAmount: z.int().meta({ examples: [900] }),
    refundedAmount: z.int().meta({ examples: [0] }),
    currency: z.string().meta({ examples: ['usd'] }),
    createdAt: instantOut,
  })
  .meta({ id: 'Invoice' });

const checkoutOut = z
  .strictObject({
    id: z.string().meta({
      description: 'Polar’s id of the checkout',
      examples: ['0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a002'],
    }),
    url: z.url().meta({ examples: ['https://polar.sh/checkout/polar_c_1'] }),
    expiresAt: instantOut,
  })
  .meta({ id: 'Checkout' });

export const billingRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/checkout',
    tag: 'Billing',
    operationId: 'createCheckout',
    summary: 'Create a checkout at Polar for a plan or a pack',
    access: billingAccess,
    asksPolar: true,
    needsIdempotencyKey: true,
    request: {
      params: teamParams,
      body: z
        .strictObject({
          product: z
            .string()
            .min(1)
            .max(100)
            .meta({ description: 'The key of a plan or pack', examples: ['pack_1000'] }),
        })
        .meta({ id: 'NewCheckout' }),
    },
    answers: { 201: checkoutOut },
    refusals: [
      ...atPolar,
      ...noCustomer,
      'already_subscribed',
      'subscription_paused',
      'unknown_product',
      'email_refused',
      'product_not_synced',
      'catalog_not_published',
    ],
    async handle({ params: { teamId }, body: { product } }, { dependencies, idempotency }) {
      const { database, polar, publicUrl } = dependencies;
      const page = billingPage(publicUrl, teamId);
      return idempotentElsewhere(database, idempotency(), async () => {
        const { id, url, expiresAt } = await createCheckout(polar, database, {
          teamId,
          product,
          successUrl: `${page}?checkout={CHECKOUT_ID}`,
          returnUrl: page,
        });
        return { status: 201, body: { id, url, expiresAt: expiresAt.toISOString() } };
      });
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/checkouts/{checkoutId}',
    tag: 'Billing',
    operationId: 'readCheckout',
    summary: 'Read the state of a checkout, and grant it if it is paid',
    description:
      'For the page after the payment, whose URL contains the checkout’s id. It also works if Polar’s webhooks are lost. `open`: not paid yet. `pending`: Polar is processing the payment. `paid`: the credits follow in a moment. `granted`: the credits are there. `failed`: the payment failed or the checkout expired.',
    access: billingAccess,
    asksPolar: true,
    request: { params: teamParams.extend({ checkoutId: z.guid() }) },
    answers: { 200: z.strictObject({ status: z.enum(checkoutStatuses) }).meta({ id: 'CheckoutState' }) },
    refusals: [...atPolar, 'unknown_checkout'],
    async handle({ params }, { dependencies: { database, polar, temporal } }) {
      const { status, inboxId } = await followCheckout(polar, database, params);
      if (inboxId !== null) await signalEvent(database, temporal, params.teamId, inboxId);
      return { status: 200, body: { status } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/portal',
    tag: 'Billing',
    operationId: 'openPortal',
    summary: 'Create a link to Polar’s customer portal; create one per click',
    access: billingAccess,
    asksPolar: true,
    needsIdempotencyKey: true,
    request: { params: teamParams },
    answers: { 201: linkOut },
    refusals: [...atPolar, ...noCustomer, 'email_refused'],
    async handle(
      { params: { teamId } },
      { dependencies: { database, polar, publicUrl }, caller, idempotency },
    ) {
      const actor = caller();
      return idempotentElsewhere(database, idempotency(), async () => {
        const { url, expiresAt } = await openPortal(polar, database, {
          teamId,
          ...(actor.kind === 'person' ? { userId: actor.userId } : {}),
          returnUrl: billingPage(publicUrl, teamId),
        });
        return { status: 201, body: { url, expiresAt: expiresAt.toISOString() } };
      });
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/invoices',
    tag: 'Billing',
    operationId: 'listInvoices',
    summary: 'List the team’s invoices at Polar, newest first',
    description:
      'The list may be up to five seconds old. It contains every payment and refund that has changed the team’s credits.',
    access: billingAccess,
    asksPolar: true,
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf('InvoicePage', invoiceOut) },
    refusals: atPolar,
    async handle({ params, query }, { dependencies: { database, polar, invoices } }) {
      const { data, nextCursor } = await invoices.list(polar, database, { ...params, ...query });
      const body = data.map((one) => ({ ...one, createdAt: one.createdAt.toISOString() }));
      return { status: 200, body: { data: body, nextCursor } };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/invoices/{orderId}',
    tag: 'Billing',
    operationId: 'readInvoiceLink',
    summary: 'Read the URL of an invoice’s PDF, valid for some minutes',
    access: billingAccess,
    asksPolar: true,
    request: { params: teamParams.extend({ orderId: z.guid() }) },
    answersWithSecret: true,
    answers: {
      200: z
        .strictObject({ url: z.url().meta({ examples: ['https://polar.sh/invoices/WVL-0001.pdf'] }) })
        .meta({ id: 'InvoiceLink' }),
    },
    refusals: [...atPolar, 'unknown_invoice', 'invoice_not_ready', 'polar_conflict'],
    async handle({ params }, { dependencies: { database, polar } }) {
      const { url } = await openInvoice(polar, database, params);
      return { status: 200, body: { url } };
    },
  }),
];

/** The page to which Polar's checkout and portal lead back. */
function billingPage(publicUrl: string, teamId: string): string {
  return `${publicUrl}/teams/${teamId}/billing`;
}
