import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { DomainError } from '../../domain-error.ts';
import { messageTypes } from '../../outbox/messages.ts';
import type { SigningKeys } from '../../outbox/seal-secret.ts';
import {
  deliveryStatuses,
  listWebhookDeliveries,
  replayWebhookDeliveries,
} from '../../outbox/webhook-deliveries.ts';
import {
  changeWebhookEndpoint,
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  findWebhookEndpoint,
  listWebhookEndpoints,
  readWebhookSecrets,
  rotateWebhookSecret,
  type WebhookEndpoint,
} from '../../outbox/webhook-endpoints.ts';
import { recordAct } from '../../teams/actor.ts';
import { idempotent } from '../../teams/idempotent.ts';
import { type CallContext, defineRoute } from '../define-route.ts';
import type { Dependencies } from '../dependencies.ts';
import { refuseFields } from '../problem.ts';
import { instantIn, instantOut, listQuery, nullableText, pageOf, teamIdSchema } from '../shapes.ts';

const url = z
  .url({ protocol: /^https?$/, error: 'expected an https:// URL' })
  .max(2_000)
  .refine((text) => !URL.canParse(text) || new URL(text).username + new URL(text).password === '', {
    error: 'expected a URL without a user and a password',
  })
  .meta({
    description: 'https; outside production also http. Its address must be public',
    examples: ['https://example.com/billing-events'],
  });

const endpointShape = {
  id: z.guid(),
  url: z.string().meta({ examples: ['https://example.com/billing-events'] }),
  teamId: teamIdSchema.nullable().meta({ description: 'Null: it gets the messages of all teams' }),
  enabled: z.boolean(),
  disabledReason: z.enum(['gone', 'failing', 'operator']).nullable().meta({
    description:
      'Why it is disabled: it answered 410, every attempt failed for five days, or an operator disabled it',
  }),
  disabledAt: instantOut.nullable(),
  failingSince: instantOut.nullable().meta({ description: 'Every attempt has failed since then' }),
  createdAt: instantOut,
};
const endpointOut = z.strictObject(endpointShape).meta({ id: 'WebhookEndpoint' });
const secret = z.string().meta({
  description: 'Verifies the signatures (Standard Webhooks)',
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo='],
});
const createdEndpointOut = z
  .strictObject({ ...endpointShape, secret })
  .meta({ id: 'CreatedWebhookEndpoint' });
const rotatedOut = z
  .strictObject({
    secret,
    previousSecretUntil: instantOut.meta({ description: 'Until then messages are signed with both secrets' }),
  })
  .meta({ id: 'RotatedWebhookSecret' });

const newEndpointIn = z
  .strictObject({ url, teamId: teamIdSchema.exactOptional() })
  .meta({ id: 'NewWebhookEndpoint' });
const changeIn = z
  .strictObject({ url: url.exactOptional(), enabled: z.boolean().exactOptional() })
  .refine((change) => Object.keys(change).length > 0, { error: 'expected url, enabled, or both' })
  .meta({ id: 'WebhookEndpointChange' });
const replayIn = z
  .strictObject({
    messageId: z.guid().exactOptional().meta({ description: 'One message, whatever its status' }),
    since: instantIn.exactOptional().meta({ description: 'All failed messages from this time on' }),
  })
  .refine(({ messageId, since }) => (messageId === undefined) !== (since === undefined), {
    error: 'expected either messageId or since',
  })
  .meta({ id: 'WebhookReplay', override: { examples: [{ since: '2026-01-31T12:00:00Z' }] } });

const deliveryOut = z
  .strictObject({
    messageId: z.guid().meta({ description: 'The webhook-id, the same at each attempt' }),
    type: z.enum(messageTypes),
    teamId: teamIdSchema.nullable(),
    timestamp: instantOut,
    data: z
      .record(z.string(), z.unknown())
      .meta({ examples: [{ teamId: '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70', available: '0' }] }),
    status: z.enum(deliveryStatuses),
    attempts: z.int().nonnegative(),
    nextAttemptAt: instantOut.nullable(),
    lastAttemptAt: instantOut.nullable(),
    lastStatus: z
      .int()
      .nullable()
      .meta({ description: 'The HTTP status of the last answer', examples: [200] }),
    lastError: nullableText('no answer within 10 s', 'Why there was no answer'),
  })
  .meta({ id: 'WebhookDelivery' });

const params = z.object({ endpointId: z.guid({ error: 'expected an endpoint id: a UUID' }).toLowerCase() });
const access = { services: ['admin'] } as const;
const tag = 'Webhooks';
const path = '/v1/webhook-endpoints';
const onePath = '/v1/webhook-endpoints/{endpointId}';

export const webhookEndpointRoutes = [
  defineRoute({
    method: 'post',
    path,
    tag,
    operationId: 'createWebhookEndpoint',
    summary: 'Create an endpoint that gets messages',
    description:
      'The endpoint gets each message of the section Webhooks that is stored from now on, for all teams or for one. Messages are signed by Standard Webhooks. Any answer other than 2xx is retried after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h. Messages come at least once, those of a team in order; a repeated message has the same webhook-id.',
    access,
    needsIdempotencyKey: true,
    request: { body: newEndpointIn },
    answers: { 201: createdEndpointOut },
    refusals: [
      'unknown_team',
      'unknown_webhook_endpoint',
      'too_many_webhook_endpoints',
      'webhooks_not_configured',
    ],
    async handle({ body }, context) {
      const { dependencies, idempotency, caller } = context;
      const keys = demandSigningKeys(dependencies);
      requireTls(dependencies, body.url);
      const made = await idempotent(dependencies.database, idempotency(), async (em) => {
        const endpoint = await createWebhookEndpoint(em, keys, {
          url: body.url,
          teamId: body.teamId ?? null,
        });
        await recordAct(em, caller(), {
          action: 'webhook_endpoint.created',
          teamId: endpoint.teamId,
          subject: endpoint.id,
          after: { url: endpoint.url, teamId: endpoint.teamId },
        });
        return { status: 201, body: endpointJson(endpoint) };
      });
      // The stored answer of the key does not contain the secret.
      const endpoint = endpointOut.parse(made.body);
      const [secret] = await readWebhookSecrets(dependencies.database.fork(), keys, endpoint.id);
      return { status: 201, body: { ...endpoint, secret } };
    },
  }),

  defineRoute({
    method: 'get',
    path,
    tag,
    operationId: 'listWebhookEndpoints',
    summary: 'List the endpoints, newest first',
    access,
    request: { query: listQuery },
    answersWithSecret: true,
    answers: { 200: pageOf('WebhookEndpointPage', endpointOut) },
    async handle({ query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listWebhookEndpoints(database.fork(), query);
      return { status: 200, body: { data: data.map(endpointJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'get',
    path: onePath,
    tag,
    operationId: 'readWebhookEndpoint',
    summary: 'Read an endpoint',
    access,
    request: { params },
    answersWithSecret: true,
    answers: { 200: endpointOut },
    refusals: ['unknown_webhook_endpoint'],
    async handle({ params: { endpointId } }, { dependencies: { database } }) {
      return { status: 200, body: endpointJson(await findWebhookEndpoint(database.fork(), endpointId)) };
    },
  }),

  defineRoute({
    method: 'patch',
    path: onePath,
    tag,
    operationId: 'changeWebhookEndpoint',
    summary: 'Change the URL of an endpoint, disable or enable it',
    description: 'If it is enabled, the messages that were stored meanwhile are delivered, in order.',
    access,
    request: { params, body: changeIn },
    answers: { 200: endpointOut },
    refusals: ['unknown_webhook_endpoint'],
    async handle({ params: { endpointId }, body }, context) {
      const { database } = context.dependencies;
      if (body.url !== undefined) requireTls(context.dependencies, body.url);
      const endpoint = await database.transaction(async (em) => {
        const before = await findWebhookEndpoint(em, endpointId);
        const after = await changeWebhookEndpoint(em, endpointId, body);
        await record(em, context, 'webhook_endpoint.changed', before, after);
        return after;
      });
      return { status: 200, body: endpointJson(endpoint) };
    },
  }),

  defineRoute({
    method: 'delete',
    path: onePath,
    tag,
    operationId: 'deleteWebhookEndpoint',
    summary: 'Delete an endpoint',
    description: 'No message is sent to it any more.',
    access,
    request: { params },
    answers: { 204: null },
    refusals: ['unknown_webhook_endpoint'],
    async handle({ params: { endpointId } }, context) {
      await context.dependencies.database.transaction(async (em) => {
        const before = await findWebhookEndpoint(em, endpointId);
        await deleteWebhookEndpoint(em, endpointId);
        await record(em, context, 'webhook_endpoint.deleted', before, null);
      });
      return { status: 204 };
    },
  }),

  defineRoute({
    method: 'post',
    path: `${onePath}/rotate`,
    tag,
    operationId: 'rotateWebhookSecret',
    summary: 'Give an endpoint a new secret',
    description: 'For 24 hours messages are signed with the previous secret too.',
    access,
    needsIdempotencyKey: true,
    request: { params },
    answers: { 200: rotatedOut },
    refusals: ['unknown_webhook_endpoint', 'webhooks_not_configured'],
    async handle({ params: { endpointId } }, context) {
      const { dependencies, idempotency } = context;
      const keys = demandSigningKeys(dependencies);
      const rotated = await idempotent(dependencies.database, idempotency(), async (em) => {
        const endpoint = await findWebhookEndpoint(em, endpointId);
        const until = await rotateWebhookSecret(em, keys, endpointId);
        await record(em, context, 'webhook_endpoint.secret_rotated', null, endpoint);
        return { status: 200, body: { previousSecretUntil: until.toISOString() } };
      });
      const { previousSecretUntil } = rotatedOut.omit({ secret: true }).parse(rotated.body);
      const [secret] = await readWebhookSecrets(dependencies.database.fork(), keys, endpointId);
      return { status: 200, body: { secret, previousSecretUntil } };
    },
  }),

  defineRoute({
    method: 'get',
    path: `${onePath}/deliveries`,
    tag,
    operationId: 'listWebhookDeliveries',
    summary: 'List the messages of an endpoint and their attempts, newest first',
    access,
    request: { params, query: listQuery.extend({ status: z.enum(deliveryStatuses).exactOptional() }) },
    answers: { 200: pageOf('WebhookDeliveryPage', deliveryOut) },
    refusals: ['unknown_webhook_endpoint'],
    async handle({ params: { endpointId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listWebhookDeliveries(database.fork(), endpointId, query);
      const deliveries = data.map(({ at, nextAttemptAt, lastAttemptAt, ...delivery }) => ({
        ...delivery,
        timestamp: at.toISOString(),
        nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
        lastAttemptAt: lastAttemptAt?.toISOString() ?? null,
      }));
      return { status: 200, body: { data: deliveries, nextCursor } };
    },
  }),

  defineRoute({
    method: 'post',
    path: `${onePath}/replay`,
    tag,
    operationId: 'replayWebhookDeliveries',
    summary: 'Send messages again',
    access,
    needsIdempotencyKey: true,
    request: { params, body: replayIn },
    answers: {
      202: z
        .strictObject({ messages: z.int().nonnegative().meta({ description: 'How many are sent again' }) })
        .meta({ id: 'AcceptedReplay' }),
    },
    refusals: ['unknown_webhook_endpoint'],
    async handle({ params: { endpointId }, body }, context) {
      const { dependencies, idempotency, caller } = context;
      return idempotent(dependencies.database, idempotency(), async (em) => {
        const messages = await replayWebhookDeliveries(em, endpointId, messagesToReplay(body));
        await recordAct(em, caller(), {
          action: 'webhook_endpoint.replayed',
          subject: endpointId,
          after: { messages },
        });
        return { status: 202, body: { messages } };
      });
    },
  }),
];

function messagesToReplay({ messageId, since }: z.output<typeof replayIn>) {
  if (messageId !== undefined) return { messageId };
  if (since !== undefined) return { since };
  throw new Error('the schema demands messageId or since');
}

/** @throws DomainError `webhooks_not_configured` */
function demandSigningKeys({ webhooks: { signingKeys } }: Dependencies): SigningKeys {
  if (signingKeys.length > 0) return signingKeys;
  throw new DomainError('webhooks_not_configured', 'WEBHOOK_SIGNING_KEY is not set on this server');
}

/** @throws DomainError `invalid_request` */
function requireTls({ production }: Dependencies, text: string): void {
  if (!production || new URL(text).protocol === 'https:') return;
  throw refuseFields('invalid_request', [{ path: 'body.url', message: 'expected an https:// URL' }]);
}

async function record(
  em: EntityManager,
  { caller }: CallContext,
  action: string,
  before: WebhookEndpoint | null,
  after: WebhookEndpoint | null,
): Promise<void> {
  const known = after ?? before;
  await recordAct(em, caller(), {
    action,
    teamId: known?.teamId ?? null,
    ...(known ? { subject: known.id } : {}),
    before: before && { url: before.url, disabledReason: before.disabledReason },
    after: after && { url: after.url, disabledReason: after.disabledReason },
  });
}

function endpointJson(endpoint: WebhookEndpoint): z.output<typeof endpointOut> {
  const { id, url, teamId, disabledReason, disabledAt, failingSince, createdAt } = endpoint;
  return {
    ...{ id, url, teamId, disabledReason },
    enabled: disabledAt === null,
    disabledAt: disabledAt?.toISOString() ?? null,
    failingSince: failingSince?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}
