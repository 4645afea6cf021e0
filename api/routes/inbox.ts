import { z } from 'zod';
import { type InboxEvent, inboxSources, inboxStatuses } from '../../database/entities/inbox-event.ts';
import { listInbox } from '../../inbox/list-inbox.ts';
import { approveRepair, dismissParkedEvent, retryParkedEvent } from '../../inbox/operator-decisions.ts';
import { assignEvent } from '../../polar/assign-event.ts';
import { nameCaller } from '../authenticate.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, nullableText, pageOf, teamIdSchema } from '../shapes.ts';
import { signalEvent } from '../temporal-link.ts';

const decisionOut = z
  .strictObject({
    at: instantOut,
    by: z.string().meta({ examples: ['service:environment'] }),
    decision: z.enum(['approved', 'assigned', 'dismissed']),
    reason: nullableText('Bought for the design team'),
    teamId: teamIdSchema.nullable(),
    product: nullableText('pack_1000'),
  })
  .meta({ id: 'OperatorDecision' });

const inboxEventOut = z
  .strictObject({
    id: z.guid(),
    teamId: teamIdSchema.nullable(),
    source: z.enum(inboxSources),
    type: z.string().meta({ examples: ['order.paid'] }),
    externalId: nullableText('msg_2f8a', 'The id of the webhook message'),
    status: z.enum(inboxStatuses),
    parkedCode: nullableText('unknown_team', 'Why it cannot be applied; see docs/errors.md'),
    outcome: nullableText('The event names none of our teams', 'The result in one sentence'),
    attempts: z.int(),
    waitsFor: z.enum(['retry', 'operator']).nullable().meta({
      description: 'Only of a parked event: `operator` if it is no longer retried automatically',
    }),
    nextRetryAt: instantOut.nullable(),
    assignedProduct: nullableText('pack_1000'),
    decisions: z.array(decisionOut).meta({ description: 'Oldest first' }),
    occurredAt: instantOut,
    receivedAt: instantOut,
    handledAt: instantOut.nullable(),
  })
  .meta({ id: 'InboxEvent' });

const reason = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .meta({ examples: ['Bought for the design team'] });
const acceptedOut = z.strictObject({ id: z.guid() }).meta({ id: 'AcceptedDecision' });

const assignmentIn = z
  .strictObject({
    teamId: teamIdSchema.exactOptional(),
    product: z
      .string()
      .min(1)
      .max(40)
      .exactOptional()
      .meta({ examples: ['pack_1000'] }),
    reason: reason.exactOptional(),
  })
  .refine(({ teamId, product }) => teamId !== undefined || product !== undefined, {
    error: 'expected teamId, product, or both',
  })
  .meta({ id: 'EventAssignment' });
const inboxParams = z.object({ inboxId: z.guid({ error: 'expected an inbox event id: a UUID' }) });

export const inboxRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/inbox',
    tag: 'Operations',
    operationId: 'listInboxEvents',
    summary: 'List the received events and their results, newest first',
    access: { services: ['admin'] },
    request: {
      query: listQuery.extend({
        status: z.enum(inboxStatuses).exactOptional(),
        teamId: teamIdSchema.exactOptional(),
      }),
    },
    answers: { 200: pageOf('InboxEventPage', inboxEventOut) },
    async handle({ query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listInbox(database.fork(), query);
      return { status: 200, body: { data: data.map(inboxEventJson), nextCursor } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/retry',
    tag: 'Operations',
    operationId: 'retryInboxEvent',
    summary: 'Retry a parked event now',
    access: { services: ['admin'] },
    request: { params: inboxParams },
    answers: { 202: acceptedOut },
    refusals: ['unknown_event', 'not_parked', 'needs_approval'],
    async handle({ params: { inboxId } }, { dependencies: { database, temporal }, caller }) {
      const actor = nameCaller(caller());
      const { teamId } = await database.transaction((em) => retryParkedEvent(em, inboxId, actor));
      if (teamId !== null) await signalEvent(database, temporal, teamId, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/approve',
    tag: 'Operations',
    operationId: 'approveRepair',
    summary: 'Approve a large repair of the reconciliation',
    description: 'For an event that is parked under `needs_approval`. Its outcome names who approved it.',
    access: { services: ['admin'] },
    request: { params: inboxParams },
    answers: { 202: acceptedOut },
    refusals: ['unknown_event', 'not_awaiting_approval'],
    async handle({ params: { inboxId } }, { dependencies: { database, temporal }, caller }) {
      const actor = nameCaller(caller());
      const decider = { by: actor, actor };
      const { teamId } = await database.transaction((em) => approveRepair(em, inboxId, decider));
      if (teamId !== null) await signalEvent(database, temporal, teamId, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/dismiss',
    tag: 'Operations',
    operationId: 'dismissInboxEvent',
    summary: 'Dismiss a parked event: it is never applied',
    description:
      'It is never retried, and reconciliation does not report its object again. `decisions` shows who dismissed it, when and why.',
    access: { services: ['admin'] },
    request: { params: inboxParams, body: z.strictObject({ reason }).meta({ id: 'EventDismissal' }) },
    answers: { 202: acceptedOut },
    refusals: ['unknown_event', 'not_parked'],
    async handle({ params: { inboxId }, body }, { dependencies: { database, temporal }, caller }) {
      const actor = nameCaller(caller());
      const decider = { by: actor, actor, reason: body.reason };
      const { teamIds } = await database.transaction((em) => dismissParkedEvent(em, inboxId, decider));
      for (const teamId of teamIds) await signalEvent(database, temporal, teamId, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/assign',
    tag: 'Operations',
    operationId: 'assignInboxEvent',
    summary: 'Assign a parked event to a team, a product of the catalog, or both, and retry it',
    description:
      'The assignment overrides the payload of this event. Later events of the same subscription keep the team, not the product. `decisions` shows who assigned it, when and why.',
    access: { services: ['admin'] },
    request: {
      params: inboxParams,
      body: assignmentIn,
    },
    answers: { 202: acceptedOut },
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
      for (const id of teamIds) await signalEvent(database, temporal, id, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),
];

function inboxEventJson(event: InboxEvent): z.output<typeof inboxEventOut> {
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
