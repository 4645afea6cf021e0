import { z } from 'zod';
import { inboxStatuses } from '../../database/entities/inbox-event.ts';
import { listInbox } from '../../inbox/list-inbox.ts';
import { approveRepair, retryParkedEvent } from '../../inbox/operator-decisions.ts';
import { nameCaller } from '../authenticate.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, pageOf, teamIdSchema } from '../shapes.ts';

const inboxEvent = z.strictObject({
  id: z.guid(),
  teamId: teamIdSchema.nullable(),
  source: z.enum(['sign-up', 'polar', 'operator']),
  type: z.string(),
  externalId: z.string().nullable(),
  status: z.enum(inboxStatuses),
  parkedCode: z.string().nullable(),
  outcome: z.string().nullable().meta({ description: 'What became of it, in plain words' }),
  attempts: z.int(),
  occurredAt: instantOut,
  receivedAt: instantOut,
  handledAt: instantOut.nullable(),
});

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
    refusals: { 400: 'invalid_request, invalid_cursor' },
    async handle({ query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listInbox(database.fork(), query);
      const events = data.map((event) => ({
        id: event.id,
        teamId: event.teamId,
        source: event.source,
        type: event.type,
        externalId: event.externalId,
        status: event.status,
        parkedCode: event.parkedCode,
        outcome: event.outcome,
        attempts: event.attempts,
        occurredAt: event.occurredAt.toISOString(),
        receivedAt: event.receivedAt.toISOString(),
        handledAt: event.handledAt?.toISOString() ?? null,
      }));
      return { status: 200, body: { data: events, nextCursor } };
    },
  }),

  defineRoute({
    method: 'post',
    path: '/v1/inbox/{inboxId}/retry',
    tag: 'Operations',
    summary: 'Tries a parked event again, now',
    access: { services: ['admin'] },
    request: { params: inboxParams },
    answers: { 202: z.strictObject({ id: z.guid() }) },
    refusals: { 404: 'unknown_event', 409: 'not_parked, needs_approval' },
    async handle({ params: { inboxId } }, { dependencies: { database, temporal } }) {
      const { teamId } = await retryParkedEvent(database.fork(), inboxId);
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
    answers: { 202: z.strictObject({ id: z.guid() }) },
    refusals: { 404: 'unknown_event', 409: 'not_awaiting_approval' },
    async handle({ params: { inboxId } }, { dependencies: { database, temporal }, caller }) {
      const { teamId } = await approveRepair(database.fork(), inboxId, nameCaller(caller()));
      if (teamId !== null) temporal.signal(teamId, inboxId);
      return { status: 202, body: { id: inboxId } };
    },
  }),
];
