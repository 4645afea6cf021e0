import { z } from 'zod';
import { inboxStatuses } from '../../database/entities/inbox-event.ts';
import { listInbox } from '../../teams/list-inbox.ts';
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
];
