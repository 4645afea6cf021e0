import { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';
import { createCheckout } from '../../polar/create-checkout.ts';
import { openInvoice } from '../../polar/list-invoices.ts';
import { openPortal } from '../../polar/open-portal.ts';
import { checkoutStatuses, followCheckout } from '../../reconciliation/follow-checkout.ts';
import { idempotentElsewhere } from '../../teams/idempotent.ts';
import { billingRoles } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, linkOut, listQuery, pageOf, teamParams } from '../shapes.ts';

const billingAccess = { services: ['billing'], persons: billingRoles } as const;
const atPolar = [
  'polar_not_found',
  'polar_unavailable',
  'polar_refused',
] as const satisfies readonly ErrorCode[];
/** What keeps a team from having a customer at Polar. */
const noCustomer = [
  'team_deleted',
  'team_without_owner',
  'payments_not_ready',
  'polar_conflict',
] as const satisfies readonly ErrorCode[];

const invoice = z.strictObject({
  id: z.string(),
  number: z.string().nullable(),
  status: z.string(),
  paid: z.boolean(),
  reason: z.string(),
  product: z.string().nullable(),
  description: z.string(),
  totalAmount: z.int().meta({ description: 'With tax, in the currency’s minor units' }),
  taxAmount: z.int(),
  refundedAmount: z.int(),
  currency: z.string(),
  createdAt: instantOut,
});

export const billingRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/checkout',
    tag: 'Billing',
    summary: 'A page of Polar’s on which to pay for a plan or a pack',
    access: billingAccess,
    asksPolar: true,
    needsIdempotencyKey: true,
    request: {
      params: teamParams,
      body: z.strictObject({
        product: z
          .string()
          .min(1)
          .max(100)
          .meta({ examples: ['pack_1000'] }),
      }),
    },
    answers: { 201: linkOut.extend({ id: z.string().meta({ description: 'Polar’s id of the checkout' }) }) },
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
      const page = `${publicUrl}/?team=${teamId}`;
      return idempotentElsewhere(database, idempotency(), async () => {
        const { id, url, expiresAt } = await createCheckout(polar, database, {
          teamId,
          product,
          successUrl: `${page}&checkout={CHECKOUT_ID}`,
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
    summary: 'What became of a checkout; what is paid is granted, also if Polar’s webhooks are lost',
    description:
      'For the page after the payment, whose address carries the checkout’s id. `open`: not paid yet. `pending`: Polar is taking the payment. `paid`: the credits come in a moment. `granted`: they are there. `failed`: the payment failed, or the checkout expired.',
    access: billingAccess,
    asksPolar: true,
    request: { params: teamParams.extend({ checkoutId: z.guid() }) },
    answers: { 200: z.strictObject({ status: z.enum(checkoutStatuses) }) },
    refusals: [...atPolar, 'unknown_checkout'],
    async handle({ params }, { dependencies: { database, polar, temporal } }) {
      const { status, inboxId } = await followCheckout(polar, database, params);
      if (inboxId !== null) temporal.signal(params.teamId, inboxId);
      return { status: 200, body: { status } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/portal',
    tag: 'Billing',
    summary: 'A link into Polar’s customer portal, made per click',
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
      const asking = caller();
      return idempotentElsewhere(database, idempotency(), async () => {
        const { url, expiresAt } = await openPortal(polar, database, {
          teamId,
          ...(asking.kind === 'person' ? { userId: asking.userId } : {}),
          returnUrl: `${publicUrl}/?team=${teamId}`,
        });
        return { status: 201, body: { url, expiresAt: expiresAt.toISOString() } };
      });
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/invoices',
    tag: 'Billing',
    summary: 'The team’s invoices at Polar, newest first',
    description:
      'May be up to five seconds old, but shows every payment and refund that the team’s credits follow.',
    access: billingAccess,
    asksPolar: true,
    request: { params: teamParams, query: listQuery },
    answers: { 200: pageOf(invoice) },
    refusals: [...atPolar, 'invalid_cursor'],
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
    summary: 'The address of an invoice’s PDF, good for some minutes',
    access: billingAccess,
    asksPolar: true,
    request: { params: teamParams.extend({ orderId: z.guid() }) },
    answers: { 200: z.strictObject({ url: z.url() }) },
    refusals: [...atPolar, 'unknown_invoice', 'invoice_not_ready', 'polar_conflict'],
    async handle({ params }, { dependencies: { database, polar } }) {
      const { url } = await openInvoice(polar, database, params);
      return { status: 200, body: { url } };
    },
  }),
];
