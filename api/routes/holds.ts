import { z } from 'zod';
import { creditsOrZeroSchema, decimalOut, MICRO, quantitiesSchema } from '../../catalog/credits.ts';
import { findPrice, type PricedUsage, priceUsage } from '../../catalog/price-usage.ts';
import type { Catalog } from '../../catalog/schema.ts';
import { readCatalog, readCatalogVersion } from '../../catalog/versions.ts';
import { DomainError } from '../../domain-error.ts';
import type { ErrorCode } from '../../errors.ts';
import { findHold } from '../../ledger/spend/find-hold.ts';
import type { HoldAnswer } from '../../ledger/spend/operation.ts';
import { findReplay } from '../../ledger/spend/receipt.ts';
import { spends } from '../../metrics.ts';
import { type CallContext, defineRoute } from '../define-route.ts';
import { hashBody } from '../read-body.ts';
import { whileCommitting } from '../refusals.ts';
import {
  actionSchema,
  attributionShape,
  instantOut,
  metadataSchema,
  receiptJson,
  receiptOut,
  teamParams,
} from '../shapes.ts';

const ttlSeconds = z
  .int()
  .min(1)
  .max(31_536_000)
  .meta({
    description:
      'Lifetime in seconds from now. The policy `holdMaxLife` limits the time from the creation of the hold',
    examples: [3600],
  });

/** The price of the work: computed from its quantities, or given in credits. */
const cost = {
  quantities: quantitiesSchema.exactOptional(),
  credits: creditsOrZeroSchema.exactOptional(),
};
type Cost = z.output<z.ZodObject<typeof cost>>;

const hasOneOfTwo = (body: object) => 'quantities' in body !== 'credits' in body;
const oneOfTwo = { error: 'expected either quantities or credits' };

const holdParams = z.object({
  holdId: z
    .guid({ error: 'expected a hold id: a UUID' })
    .toLowerCase()
    .meta({ description: 'The hold’s id' }),
});

const holdOut = z
  .strictObject({
    id: z.guid(),
    status: z.enum(['open', 'released']),
    credits: decimalOut.meta({ description: 'Credits that the hold sets aside' }),
    expiresAt: instantOut,
  })
  .meta({ id: 'Hold' });

const newHoldIn = z
  .strictObject({
    action: actionSchema,
    ...cost,
    ttlSeconds: ttlSeconds.exactOptional(),
    ...attributionShape,
  })
  .refine(hasOneOfTwo, oneOfTwo)
  .meta({
    id: 'NewHold',
    override: {
      examples: [{ action: 'model.gpt-5', credits: '12.5', ttlSeconds: 3600, memberId: 'user_42' }],
    },
  });

const captureIn = z
  .strictObject({ ...cost, metadata: metadataSchema.exactOptional() })
  .refine(hasOneOfTwo, oneOfTwo)
  .meta({
    id: 'HoldCapture',
    override: { examples: [{ quantities: { input_tokens: 1200, output_tokens: '350' } }] },
  });

const extensionIn = z.strictObject({ ttlSeconds }).meta({ id: 'HoldExtension' });

/** The errors of every request about one hold. */
const onHolds = [
  'unknown_hold',
  'hold_expired',
  'hold_captured',
  'hold_released',
  'team_deleted',
  ...whileCommitting,
] as const satisfies readonly ErrorCode[];

export const holdRoutes = [
  defineRoute({
    method: 'post',
    lane: 'spending',
    path: '/v1/teams/{teamId}/holds',
    tag: 'Holds',
    operationId: 'createHold',
    summary: 'Set credits aside for work whose price is known later',
    description:
      'Send quantities or credits. Quantities are priced now. The hold keeps the current prices for its capture. A hold of 0 sets nothing aside and fixes the prices. It ends when it is captured or released, and at expiresAt.',
    access: { services: ['usage'], teamIsCheckedByHandler: true },
    needsIdempotencyKey: true,
    request: {
      params: teamParams,
      body: newHoldIn,
    },
    answers: { 201: holdOut },
    refusals: [
      'insufficient_credits',
      'limit_reached',
      'team_deleted',
      'too_many_holds',
      'unknown_action',
      'unknown_meter',
      'invalid_quantity',
      'quantity_too_large',
      'hold_too_long',
      'member_required',
      'member_not_in_team',
      ...whileCommitting,
    ],
    async handle({ params: { teamId }, body }, context) {
      const { database, creditOperations } = context.dependencies;
      const { action, ttlSeconds, quantities: _quantities, credits: _credits, ...attribution } = body;
      const request = { teamId, ...keyed(context, 'hold') };
      const { catalogVersion, catalog } = await readCatalog(database);
      let terms: { credits: bigint; ttlMs: number };
      try {
        findPrice(catalog, action);
        terms = { credits: priceWork(catalog, action, body).credits, ttlMs: lifetimeMs(catalog, ttlSeconds) };
      } catch (refusal) {
        // The answer of a retry does not change, even if its action was archived since.
        const replay = await findReplay(database.pool, request);
        if (replay && 'hold' in replay) return { status: 201, body: holdJson(replay.hold) };
        throw refusal;
      }
      const hold = await creditOperations.hold({
        ...request,
        action,
        ...terms,
        maxTtlMs: catalog.policies.holdMaxLife,
        maxOpenHolds: catalog.policies.openHoldsPerTeam,
        priceVersion: catalogVersion,
        ...attribution,
      });
      return { status: 201, body: holdJson(hold) };
    },
  }),

  defineRoute({
    method: 'post',
    lane: 'spending',
    path: '/v1/holds/{holdId}/capture',
    tag: 'Holds',
    operationId: 'captureHold',
    summary: 'Debit the real price of the work: less than the hold, the same or more',
    description:
      'At the prices of the hold. Held credits pay first, other credits of the team pay the rest. If those are too few, nothing is debited and the hold stays open. A capture of 0 gives back all credits. A hold is captured once: the same amount again returns the same receipt.',
    access: { services: ['usage'] },
    needsIdempotencyKey: true,
    request: {
      params: holdParams,
      body: captureIn,
    },
    answers: { 201: receiptOut },
    refusals: [
      ...onHolds,
      'insufficient_credits',
      'limit_reached',
      'unknown_meter',
      'invalid_quantity',
      'quantity_too_large',
    ],
    async handle({ params: { holdId }, body }, context) {
      const { database, creditOperations } = context.dependencies;
      try {
        const { teamId, action, priceVersion } = await findHold(database.fork(), holdId);
        const catalog = await readCatalogVersion(database.fork(), priceVersion);
        const receipt = await creditOperations.capture({
          teamId,
          holdId,
          ...keyed(context, `capture ${holdId}`),
          priced: priceWork(catalog, action, body),
          metadata: body.metadata,
        });
        spends.inc({ outcome: 'debited' });
        return { status: 201, body: receiptJson(receipt) };
      } catch (error) {
        spends.inc({ outcome: error instanceof DomainError ? error.code : 'error' });
        throw error;
      }
    },
  }),

  defineRoute({
    method: 'post',
    lane: 'spending',
    path: '/v1/holds/{holdId}/release',
    tag: 'Holds',
    operationId: 'releaseHold',
    summary: 'Release a hold: its credits can be spent again',
    access: { services: ['usage'] },
    needsIdempotencyKey: true,
    request: { params: holdParams },
    answers: { 200: holdOut },
    refusals: onHolds,
    async handle({ params: { holdId } }, context) {
      const { database, creditOperations } = context.dependencies;
      const { teamId } = await findHold(database.fork(), holdId);
      const hold = await creditOperations.release({ teamId, holdId, ...keyed(context, `release ${holdId}`) });
      return { status: 200, body: holdJson(hold) };
    },
  }),

  defineRoute({
    method: 'post',
    lane: 'spending',
    path: '/v1/holds/{holdId}/extend',
    tag: 'Holds',
    operationId: 'extendHold',
    summary: 'Extend a hold',
    description: 'The hold then expires ttlSeconds from now. An extension never shortens it.',
    access: { services: ['usage'] },
    needsIdempotencyKey: true,
    request: { params: holdParams, body: extensionIn },
    answers: { 200: holdOut },
    refusals: [...onHolds, 'hold_too_long'],
    async handle({ params: { holdId }, body: { ttlSeconds } }, context) {
      const { database, creditOperations } = context.dependencies;
      const { teamId } = await findHold(database.fork(), holdId);
      const request = { teamId, holdId, ...keyed(context, `extend ${holdId}`) };
      const hold = await creditOperations.extend({ ...request, ttlMs: ttlSeconds * 1_000 });
      return { status: 200, body: holdJson(hold) };
    },
  }),
];

/** A caller's key is unique in the team, so the hash covers the kind of request too. */
function keyed({ idempotency, body }: CallContext, what: string) {
  return { idempotencyKey: idempotency().key, bodyHash: hashBody({ what, body }) };
}

/** Credits are priced as one line of the meter `credits`. */
function priceWork(catalog: Catalog, action: string, { quantities = {}, credits }: Cost): PricedUsage {
  if (credits === undefined) return priceUsage(catalog, action, quantities);
  const line = { meter: 'credits', quantity: credits, unitPrice: { credits: MICRO, per: 1n }, credits };
  return { credits, lines: [line] };
}

function lifetimeMs({ policies }: Catalog, ttlSeconds: number | undefined): number {
  if (ttlSeconds === undefined) return policies.holdLife;
  const longestSeconds = policies.holdMaxLife / 1_000;
  if (ttlSeconds <= longestSeconds) return ttlSeconds * 1_000;
  throw new DomainError('hold_too_long', `ttlSeconds must be at most ${longestSeconds}`, {
    longestSeconds,
  });
}

/** A replayed answer is read from JSON in the database, which keeps no order of fields. */
function holdJson({ id, status, credits, expiresAt }: HoldAnswer): z.output<typeof holdOut> {
  return { id, status, credits, expiresAt };
}
