import { randomBytes, randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Router } from 'express';
import { z } from 'zod';
import { after, before, bodyOf, idOf, oneOf, routesOf } from './answer.ts';
import { type Emulator, organizationOf, type WebhookType } from './emulator.ts';
import type { Records } from './records.ts';
import type { WebhookDelivery } from './webhook-delivery.ts';
import { toDelivery } from './wire.ts';

/** Every type that the SDK knows. If the SDK adds or removes one, this no longer compiles. */
const TYPES: Record<WebhookType, true> = {
  'checkout.created': true,
  'checkout.updated': true,
  'checkout.expired': true,
  'customer.created': true,
  'customer.updated': true,
  'customer.deleted': true,
  'customer.state_changed': true,
  'customer_seat.assigned': true,
  'customer_seat.claimed': true,
  'customer_seat.revoked': true,
  'member.created': true,
  'member.updated': true,
  'member.deleted': true,
  'order.created': true,
  'order.updated': true,
  'order.paid': true,
  'order.refunded': true,
  'subscription.created': true,
  'subscription.updated': true,
  'subscription.active': true,
  'subscription.canceled': true,
  'subscription.uncanceled': true,
  'subscription.cycled': true,
  'subscription.revoked': true,
  'subscription.past_due': true,
  'subscription.paused': true,
  'subscription.resumed': true,
  'subscription.migrated': true,
  'refund.created': true,
  'refund.updated': true,
  'product.created': true,
  'product.updated': true,
  'discount.created': true,
  'discount.updated': true,
  'discount.deleted': true,
  'benefit.created': true,
  'benefit.updated': true,
  'benefit_grant.created': true,
  'benefit_grant.cycled': true,
  'benefit_grant.updated': true,
  'benefit_grant.revoked': true,
  'organization.updated': true,
};
const eventType = z.custom<models.WebhookEventType>(
  (value) => typeof value === 'string' && Object.hasOwn(TYPES, value),
  { message: 'Input should be a webhook event type', params: { type: 'enum' } },
);
/** One unknown type makes Polar refuse the whole request. */
const knownType = (emulator: Emulator) =>
  eventType.refine((type) => !organizationOf(emulator).unknown_event_types.includes(type), {
    message: 'Input should be a webhook event type',
    params: { type: 'enum' },
  });
const url = (emulator: Emulator) =>
  z.url().refine((text) => isAllowedUrl(emulator, text), {
    message: "URL scheme should be 'https'",
    params: { type: 'url_scheme' },
  });
const create = z.strictObject({
  url: z.string(),
  name: z.string().nullish(),
  api_version: z.literal('2026-10').optional(),
  format: z.literal('raw'),
  events: z.array(eventType),
  organization_id: z.guid().nullish(),
});
const update = z.strictObject({
  url: z.string().nullish(),
  name: z.string().nullish(),
  api_version: z.literal('2026-10').nullish(),
  format: z.literal('raw').nullish(),
  events: z.array(eventType).nullish(),
  enabled: z.boolean().nullish(),
});

/** Webhook endpoints and the state of each delivery. */
export function webhookRoutes(router: Router, emulator: Emulator, delivery: WebhookDelivery): void {
  const { list, get, post, patch, remove } = routesOf(router, emulator);
  const { store } = emulator;
  list('/v1/webhooks/endpoints', {
    rows: () => store.endpoints.all(),
    present: toEndpoint,
    filters: {},
    sorting: { created_at: ({ created_at }) => Date.parse(created_at) },
  });
  post('/v1/webhooks/endpoints', (request) => {
    const body = bodyOf(create.extend({ url: url(emulator), events: z.array(knownType(emulator)) }), request);
    return toEndpoint(
      store.endpoints.put({
        created_at: emulator.stamp(),
        modified_at: null,
        id: randomUUID(),
        url: body.url,
        name: body.name ?? null,
        api_version: '2026-10',
        format: 'raw',
        secret: newSecret(),
        organization_id: organizationOf(emulator).id,
        events: body.events,
        enabled: true,
        uses_standard_webhook_signature: true,
        failed_in_row: 0,
      }),
    );
  });
  get('/v1/webhooks/endpoints/:id', (request) => toEndpoint(store.endpoints.demand(idOf(request))));
  patch('/v1/webhooks/endpoints/:id', (request) => {
    const endpoint = store.endpoints.demand(idOf(request));
    const body = bodyOf(
      update.extend({ url: url(emulator).nullish(), events: z.array(knownType(emulator)).nullish() }),
      request,
    );
    return toEndpoint(
      store.endpoints.put({
        ...endpoint,
        modified_at: emulator.stamp(),
        url: body.url ?? endpoint.url,
        name: body.name ?? endpoint.name ?? null,
        events: body.events ?? endpoint.events,
        enabled: body.enabled ?? endpoint.enabled,
        failed_in_row: body.enabled ? 0 : endpoint.failed_in_row,
      }),
    );
  });
  patch('/v1/webhooks/endpoints/:id/secret', (request) =>
    toEndpoint(
      store.endpoints.put({
        ...store.endpoints.demand(idOf(request)),
        secret: newSecret(),
        modified_at: emulator.stamp(),
      }),
    ),
  );
  remove('/v1/webhooks/endpoints/:id', (request) =>
    store.endpoints.delete(store.endpoints.demand(idOf(request)).id),
  );
  list('/v1/webhooks/deliveries', {
    rows: () => store.deliveries.all(),
    present: (record) => toDelivery(emulator, record),
    filters: {
      endpoint_id: oneOf(({ endpoint_id }) => endpoint_id),
      event_type: oneOf(({ event_id }) => store.events.get(event_id)?.wire.type),
      succeeded: ({ succeeded }, [value]) => String(succeeded) === value,
      start_timestamp: after(({ created_at }) => created_at),
      end_timestamp: before(({ created_at }) => created_at),
      http_code_class: ({ http_code }, [value]) => `${String(http_code ?? '')[0]}xx` === value,
    },
    sorting: { created_at: ({ created_at }) => Date.parse(created_at) },
  });
  post(
    '/v1/webhooks/events/:id/redeliver',
    (request) => {
      delivery.redeliver(idOf(request));
      return {};
    },
    202,
  );
}

/** Polar calls https only. A receiver on this machine has no https, so an option of the emulator allows http. */
function isAllowedUrl(emulator: Emulator, text: string): boolean {
  const { protocol, hostname } = new URL(text);
  if (protocol === 'https:') return true;
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return emulator.loopbackWebhooks && protocol === 'http:' && loopback;
}

function toEndpoint({ failed_in_row, ...wire }: Records['endpoints']): models.WebhookEndpoint {
  return wire;
}

function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}
