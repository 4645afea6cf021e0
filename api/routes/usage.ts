import { z } from 'zod';
import { quantitiesSchema } from '../../catalog/credits.ts';
import { type PricedUsage, priceUsage } from '../../catalog/price-usage.ts';
import { type PublishedCatalog, readCatalog } from '../../catalog/versions.ts';
import { DomainError } from '../../domain-error.ts';
import type { Receipt } from '../../ledger/spend/operation.ts';
import { findReplay } from '../../ledger/spend/receipt.ts';
import { spends } from '../../metrics.ts';
import { defineRoute, idempotencyKeySchema } from '../define-route.ts';
import type { Dependencies } from '../dependencies.ts';
import { invalidRequest, type Problem, problemSchema, toProblem } from '../problem.ts';
import { checkJson, hashBody } from '../read-body.ts';
import { whileCommitting } from '../refusals.ts';
import {
  actionSchema,
  attributionShape,
  instantIn,
  metadataSchema,
  receiptJson,
  receiptOut,
  receiptShape,
  teamIdSchema,
  teamParams,
} from '../shapes.ts';

const usageShape = {
  action: actionSchema,
  quantities: quantitiesSchema.meta({
    override: { examples: [{ input_tokens: 1200, output_tokens: '350' }] },
  }),
  ...attributionShape,
  occurredAt: instantIn.exactOptional(),
  metadata: metadataSchema.exactOptional(),
};
const usageIn = z.strictObject(usageShape).meta({ id: 'NewUsage' });
type Usage = z.output<typeof usageIn>;

const maxBatchEvents = 1_000;
/** The maximum number of events, each with the maximum metadata, in bytes. */
const maxBatchBytes = 8 * 1_048_576;
/** Results of a batch beyond this many characters are shortened. */
const maxAnswerCharacters = 4 * 1_048_576;
const batchEventIn = z
  .strictObject({ teamId: teamIdSchema, idempotencyKey: idempotencyKeySchema, ...usageShape })
  .meta({ id: 'BatchEvent' });
// Created once, because a schema is compiled when it is created.
const eventInBody = z.object({ body: batchEventIn });
const debitedEventOut = z
  .strictObject({ status: z.literal(201), ...receiptShape })
  .meta({ id: 'DebitedBatchEvent' });
const shortenedEventOut = z
  .strictObject({
    status: z.literal(201),
    ...z.strictObject(receiptShape).omit({ lines: true, grants: true }).shape,
    shortened: z.literal(true),
  })
  .meta({ id: 'ShortenedBatchEvent' });
const batchResultOut = z
  .strictObject({ results: z.array(z.union([debitedEventOut, shortenedEventOut, problemSchema])) })
  .meta({ id: 'BatchResult' });

export const usageRoutes = [
  defineRoute({
    method: 'post',
    lane: 'spending',
    path: '/v1/teams/{teamId}/usage',
    tag: 'Usage',
    operationId: 'recordUsage',
    summary: 'Record a usage: price it and debit its credits',
    access: { services: ['usage'], teamIsCheckedByHandler: true },
    needsIdempotencyKey: true,
    request: { params: teamParams, body: usageIn },
    answers: { 201: receiptOut },
    refusals: [
      'insufficient_credits',
      'limit_reached',
      'team_deleted',
      'unknown_action',
      'unknown_meter',
      'invalid_quantity',
      'quantity_too_large',
      'occurred_at_out_of_range',
      'member_required',
      'member_not_in_team',
      ...whileCommitting,
    ],
    async handle({ params: { teamId }, body }, { dependencies, idempotency }) {
      const { key, bodyHash } = idempotency();
      const published = await readCatalog(dependencies.database);
      const receipt = await spendUsage(dependencies, published, teamId, key, bodyHash, body);
      return { status: 201, body: receiptJson(receipt) };
    },
  }),

  defineRoute({
    method: 'post',
    lane: 'spending',
    path: '/v1/usage/batch',
    tag: 'Usage',
    operationId: 'recordUsageBatch',
    summary: 'Record up to 1,000 usages of any teams',
    description:
      'Each event succeeds or fails separately, in order within a team. Its key and body mean the same as in a single request. A body has at most 8 MiB. An answer has at most about 4 MiB: later results are `shortened`, without `lines`, `grants` and `errors`. The team’s usage events contain all of them.',
    access: { services: ['usage'] },
    bodyLimitBytes: maxBatchBytes,
    checksItemsOf: 'events',
    // Each event is checked separately, so that an invalid event does not refuse the others.
    request: { body: z.strictObject({ events: z.array(z.unknown()).min(1).max(maxBatchEvents) }) },
    documentedBody: z
      .strictObject({ events: z.array(batchEventIn).min(1).max(maxBatchEvents) })
      .meta({ id: 'UsageBatch' }),
    answers: {
      200: batchResultOut,
    },
    refusals: ['catalog_not_published'],
    async handle({ body: { events } }, { dependencies }) {
      const published = await readCatalog(dependencies.database);
      const results = await Promise.all(events.map((event) => spendEvent(dependencies, published, event)));
      return { status: 200, json: `{"results":[${writeResults(results).join(',')}]}` };
    },
  }),
];

/** The events reach the group commit in the batch's order, because nothing is awaited before it. */
async function spendEvent(
  dependencies: Dependencies,
  published: PublishedCatalog,
  event: unknown,
): Promise<Problem | ({ status: 201 } & ReturnType<typeof receiptJson>)> {
  try {
    checkJson(event);
    const parsed = eventInBody.safeParse({ body: event });
    if (!parsed.success) throw invalidRequest(parsed.error);
    const { teamId, idempotencyKey, ...body } = parsed.data.body;
    // The same hash as for a single usage, so a key means the same in both requests.
    const bodyHash = hashBody(event, { without: ['teamId', 'idempotencyKey'] });
    const receipt = await spendUsage(dependencies, published, teamId, idempotencyKey, bodyHash, body);
    return { status: 201, ...receiptJson(receipt) };
  } catch (error) {
    return toProblem(error);
  }
}

type Result = Awaited<ReturnType<typeof spendEvent>>;

/**
 * The JSON of each result. A receipt names each grant that paid. For a team with many small grants a thousand receipts would be
 * tens of megabytes, so results beyond the maximum are shortened.
 */
export function writeResults(results: Result[], maxCharacters = maxAnswerCharacters): string[] {
  let length = 0;
  return results.map((result) => {
    const json = JSON.stringify(result);
    length += json.length;
    if (length <= maxCharacters) return json;
    const rest: Record<string, unknown> = { ...result };
    for (const field of ['lines', 'grants', 'errors']) delete rest[field];
    return JSON.stringify({ ...rest, shortened: true });
  });
}

async function spendUsage(
  { database, creditOperations }: Dependencies,
  { catalog, catalogVersion }: PublishedCatalog,
  teamId: string,
  idempotencyKey: string,
  bodyHash: Buffer,
  { action, quantities, occurredAt, ...rest }: Usage,
): Promise<Receipt> {
  const request = { teamId, idempotencyKey, bodyHash };
  try {
    let priced: PricedUsage;
    try {
      priced = priceUsage(catalog, action, quantities);
    } catch (refusal) {
      // The answer of a retry does not change, even if its action was archived since.
      const replay = await findReplay(database.pool, request);
      if (replay && 'receipt' in replay) return replay.receipt;
      throw refusal;
    }
    const maxAgeMs = catalog.policies.idempotencyKeysKept;
    const receipt = await creditOperations.spend({
      ...request,
      action,
      priced,
      priceVersion: catalogVersion,
      occurred: occurredAt && { at: occurredAt, maxAgeMs },
      ...rest,
    });
    spends.inc({ outcome: 'debited' });
    return receipt;
  } catch (error) {
    spends.inc({ outcome: error instanceof DomainError ? error.code : 'error' });
    throw error;
  }
}
