import { z } from 'zod';
import { type InboxEvent, inboxSources, inboxStatuses } from '../../database/entities/inbox-event.ts';
import { listInbox } from '../../inbox/list-inbox.ts';
import { approveRepair, dismissParkedEvent, retryParkedEvent } from '../../inbox/operator-decisions.ts';
import { assignEvent } from '../../polar/assign-event.ts';
import { nameCaller } from '../authenticate.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, pageOf, teamIdSchema } from '../shapes.ts';

const decision = z.strictObject({
  at: instantOut,
  by: z.string(),
  decision: z.enum(['approved', 'assigned', 'dismissed']),
  reason: z.string().nullable(),
  teamId: teamIdSchema.nullable(),
  product: z.string().nullable(),
});

const inboxEvent = z.strictObject({
  id: z.guid(),
  teamId: teamIdSchema.nullable(),
  source: z.enum(inboxSources),
  type: z.string(),
  externalId: z.string().nullable(),
  status: z.enum(inboxStatuses),
  parkedCode: z.string().nullable(),
  outcome: z.string().nullable().meta({ description: 'What became of it, in plain words' }),
  attempts: z.int(),
  waitsFor: z
    .enum(['retry', 'operator'])
    .nullable()
    .meta({ description: 'Of a parked event: `operator` if it is not retried any more by itself' }),
  nextRetryAt: instantOut.nullable(),
  assignedProduct: z.string().nullable(),
  decisions: z.array(decision).meta({ description: 'What operators decided, oldest first' }),
  occurredAt: instantOut,
  receivedAt: instantOut,
  handledAt: instantOut.nullable(),
});

const reason = z.string().trim().min(1).max(500);
const accepted = z.strictObject({ id: z.guid() });
const inboxParams = z.object({ inboxId: z.guid({ error: 'expected the id of an inbox row' }) });

export const inboxRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/inbox',
    tag: 'Operations',
    summary: 'Everything received, newest first, with what became of it',
    access: { services: ['admin'] },
    request: {
      query: listQuery.extend({
        status: z.enum(inboxStatuses).exactOptional(),
        teamId: teamIdSchema.exactOptional(),
      }),
    },
    answers: { 200: pageOf(inboxEvent) },
    refusals: ['invalid_cursor'],
    async handle({ query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listInbox(database.fork(), query);
      return { status: 200, body: { data: data.map(present), nextCursor } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/retry',
    tag: 'Operations',
    summary: 'Tries a parked event again, now',
    access: { services: ['admin'] },
    request: { params: inboxParams },
    answers: { 202: accepted },
    refusals: ['unknown_event', 'not_parked', 'needs_approval'],
    async handle({ params: { inboxId } }, { dependencies: { database, temporal }, caller }) {
      const actor = nameCaller(caller());
      const { teamId } = await database.transaction((em) => retryParkedEvent(em, inboxId, actor));
      if (teamId !== null) temporal.signal(teamId, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/approve',
    tag: 'Operations',
    summary: 'Lets a large repair of the reconciliation through',
    description: 'Of an event that is parked under `needs_approval`. Who approved stays in its outcome.',
    access: { services: ['admin'] },
    request: { params: inboxParams },
    answers: { 202: accepted },
    refusals: ['unknown_event', 'not_awaiting_approval'],
    async handle({ params: { inboxId } }, { dependencies: { database, temporal }, caller }) {
      const actor = nameCaller(caller());
      const decider = { by: actor, actor };
      const { teamId } = await database.transaction((em) => approveRepair(em, inboxId, decider));
      if (teamId !== null) temporal.signal(teamId, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/dismiss',
    tag: 'Operations',
    summary: 'Settles a parked event without applying it',
    description:
      'It is never retried, and reconciliation does not report its object again. Who dismissed it, when and why is shown in `decisions`.',
    access: { services: ['admin'] },
    request: { params: inboxParams, body: z.strictObject({ reason }) },
    answers: { 202: accepted },
    refusals: ['unknown_event', 'not_parked'],
    async handle({ params: { inboxId }, body }, { dependencies: { database, temporal }, caller }) {
      const actor = nameCaller(caller());
      const decider = { by: actor, actor, reason: body.reason };
      const { teamIds } = await database.transaction((em) => dismissParkedEvent(em, inboxId, decider));
      for (const teamId of teamIds) temporal.signal(teamId, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/assign',
    tag: 'Operations',
    summary: 'Assigns a parked event to a team, to a product of the catalog, or to both, and retries it',
    description:
      'For this event alone, whatever its payload says: later events of the same subscription follow the team, not the product. Who assigned it, when and why is shown in `decisions`.',
    access: { services: ['admin'] },
    request: {
      params: inboxParams,
      body: z
        .strictObject({
          teamId: teamIdSchema.exactOptional(),
          product: z.string().min(1).max(40).exactOptional(),
          reason: reason.exactOptional(),
        })
        .refine(({ teamId, product }) => teamId !== undefined || product !== undefined, {
          error: 'expected teamId, product, or both',
        }),
    },
    answers: { 202: accepted },
    refusals: [
      'unknown_event',
      'unknown_team',
      'not_parked',
      'needs_approval',
      'team_needed',
      'unknown_product',
      'wrong_product',
    ],
    async handle({ params: { inboxId }, body }, { dependencies: { database, temporal }, caller }) {
      const { teamId = null, product = null, reason = null } = body;
      const actor = nameCaller(caller());
      const decider = { by: actor, actor, reason };
      const { teamIds } = await database.transaction((em) =>
        assignEvent(em, inboxId, { teamId, product }, decider),
      );
      for (const id of teamIds) temporal.signal(id, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),
];

function present(event: InboxEvent): z.output<typeof inboxEvent> {
  const { id, teamId, source, type, externalId, status, parkedCode, outcome, attempts, assignedProduct } =
    event;
  const parked = status === 'parked';
  return {
    id,
    teamId,
    source,
    type,
    externalId,
    status,
    parkedCode,
    outcome,
    attempts,
    waitsFor: parked ? (event.nextSignalAt ? 'retry' : 'operator') : null,
    nextRetryAt: (parked && event.nextSignalAt?.toISOString()) || null,
    assignedProduct,
    decisions: event.decisions.map((one) => ({ ...one, at: new Date(one.at).toISOString() })),
    occurredAt: event.occurredAt.toISOString(),
    receivedAt: event.receivedAt.toISOString(),
    handledAt: event.handledAt?.toISOString() ?? null,
  };
}
