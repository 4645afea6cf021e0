import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { type ServiceKey, scopes } from '../../database/entities/service-key.ts';
import { DomainError } from '../../domain-error.ts';
import { demandValidKey } from '../../teams/actor.ts';
import { idempotent } from '../../teams/idempotent.ts';
import {
  type IssuedServiceKey,
  issueServiceKey,
  listServiceKeys,
  readServiceKey,
  revokeServiceKey,
  rotateServiceKey,
} from '../../teams/service-keys.ts';
import { type Caller, nameCaller } from '../authenticate.ts';
import { type Answer, type CallContext, defineRoute } from '../define-route.ts';
import { instantIn, instantOut, listQuery, nameSchema, pageOf } from '../shapes.ts';

const serviceKeyParams = z.object({
  serviceKeyId: z.guid({ error: 'expected a service key id: a UUID' }).toLowerCase(),
});
const oneDaySeconds = 86_400;
const oneWeekSeconds = 604_800;

const keyNameSchema = nameSchema.meta({ examples: ['workflow engine'] });
const scopesSchema = z
  .array(z.enum(scopes))
  .min(1)
  .max(scopes.length)
  .meta({ examples: [['usage']] });

const newServiceKeyIn = z
  .strictObject({
    name: keyNameSchema,
    scopes: scopesSchema,
    expiresAt: instantIn
      .exactOptional()
      .meta({ description: 'When the key expires. Without it, the key is valid until it is revoked' }),
  })
  .meta({ id: 'NewServiceKey' });

const rotationIn = z
  .strictObject({
    previousValidSeconds: z.int().min(0).max(oneWeekSeconds).default(oneDaySeconds).meta({
      description:
        'How long the previous secret stays valid, in seconds. Send 0 if it has become known to others',
    }),
  })
  .meta({ id: 'ServiceKeyRotation' });

const serviceKeyShape = {
  id: z.guid(),
  name: keyNameSchema,
  scopes: scopesSchema,
  createdAt: instantOut,
  expiresAt: instantOut.nullable(),
  lastUsedAt: instantOut.nullable().meta({ description: 'To the minute; null: never' }),
  rotatedAt: instantOut.nullable(),
  previousValidUntil: instantOut
    .nullable()
    .meta({ description: 'Until when the secret before the last rotation is valid' }),
  revokedAt: instantOut.nullable(),
};
const serviceKeyOut = z.strictObject(serviceKeyShape).meta({ id: 'ServiceKey' });
const issuedServiceKeyOut = z
  .strictObject({
    ...serviceKeyShape,
    key: z.string().meta({
      description: 'The secret, for `Authorization: Bearer`. It is not shown again',
      examples: ['wl_Vb0p4VbN3nq1m0Jv0Zt3cU8m2l6rQyFh1c7eX9sKd2A'],
    }),
  })
  .meta({ id: 'IssuedServiceKey' });

const shownOnce =
  'The secret is in this answer only, and is not stored. If the answer is lost, a retry with the same Idempotency-Key is 409 `secret_already_shown` and names the key: rotate it.';

export const serviceKeyRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/service-keys',
    tag: 'Operations',
    operationId: 'listServiceKeys',
    summary: 'List the service keys, oldest first',
    description:
      'Also revoked and expired keys, without secrets. The key of the environment is not among them.',
    access: { services: ['admin'] },
    request: { query: listQuery },
    answers: { 200: pageOf('ServiceKeyPage', serviceKeyOut) },
    async handle({ query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listServiceKeys(database.fork(), query);
      return { status: 200, body: { data: data.map(serviceKeyJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/service-keys',
    tag: 'Operations',
    operationId: 'createServiceKey',
    summary: 'Create a service key',
    description: `A key with the scope \`admin\` may create keys with any scope. ${shownOnce}`,
    access: { services: ['admin'] },
    needsIdempotencyKey: true,
    request: { body: newServiceKeyIn },
    answers: { 201: issuedServiceKeyOut },
    refusals: ['expires_in_the_past', 'secret_already_shown'],
    handle: ({ body: { scopes, ...given } }, context) =>
      issueOnce(context, (em, actor) =>
        issueServiceKey(em, { ...given, scopes: [...new Set(scopes)], actor }),
      ),
  }),

  defineRoute({
    method: 'post',
    path: '/v1/service-keys/{serviceKeyId}/rotate',
    tag: 'Operations',
    operationId: 'rotateServiceKey',
    summary: 'Give a service key a new secret',
    description: `The previous secret stays valid for \`previousValidSeconds\`, by default a day. A secret that an earlier rotation replaced is no longer valid. ${shownOnce}`,
    access: { services: ['admin'] },
    needsIdempotencyKey: true,
    request: { params: serviceKeyParams, body: rotationIn },
    answers: { 201: issuedServiceKeyOut },
    refusals: ['secret_already_shown', 'unknown_service_key'],
    handle: ({ params: { serviceKeyId: id }, body }, context) =>
      issueOnce(context, (em, actor) => rotateServiceKey(em, { id, ...body, actor })),
  }),

  defineRoute({
    method: 'delete',
    path: '/v1/service-keys/{serviceKeyId}',
    tag: 'Operations',
    operationId: 'revokeServiceKey',
    summary: 'Revoke a service key',
    description: 'The key is refused after at most two seconds. A key may revoke itself.',
    access: { services: ['admin'] },
    request: { params: serviceKeyParams },
    answers: { 204: null },
    refusals: ['unknown_service_key'],
    async handle({ params: { serviceKeyId: id } }, { dependencies: { database }, caller }) {
      await database.transaction(async (em) => {
        const actor = await confirmKey(em, caller());
        await revokeServiceKey(em, { id, actor });
      });
      return { status: 204 };
    },
  }),
];

/** Records the key's id under the Idempotency-Key, never the secret. So a retry cannot show it again. */
async function issueOnce(
  { dependencies: { database }, caller, idempotency }: CallContext,
  issue: (em: EntityManager, actor: string) => Promise<IssuedServiceKey>,
): Promise<Answer> {
  let issued: { row: ServiceKey; key: string } | undefined;
  const recorded = await idempotent(database, idempotency(), async (em) => {
    const { id, key } = await issue(em, await confirmKey(em, caller()));
    issued = { row: await readServiceKey(em, id), key };
    return { status: 201, body: { id } };
  });
  if (issued) return { status: 201, body: { ...serviceKeyJson(issued.row), key: issued.key } };
  const { id } = z.object({ id: z.guid() }).parse(recorded.body);
  throw new DomainError(
    'secret_already_shown',
    `This request was done, and its answer had the secret of the service key ${id}: rotate it if the answer was lost`,
    { id },
  );
}

/** The caller's key must still be valid in the transaction. Returns the caller's name in audit records. */
async function confirmKey(em: EntityManager, caller: Caller): Promise<string> {
  if (caller.kind === 'service') await demandValidKey(em, caller.keyId);
  return nameCaller(caller);
}

function serviceKeyJson(key: ServiceKey): z.input<typeof serviceKeyOut> {
  const { id, name, scopes } = key;
  return {
    id,
    name,
    scopes,
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    rotatedAt: key.rotatedAt?.toISOString() ?? null,
    previousValidUntil: key.previousValidUntil?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
  };
}
