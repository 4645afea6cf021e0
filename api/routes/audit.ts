import { z } from 'zod';
import { listAuditEvents } from '../../teams/list-audit-events.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, pageOf, teamIdSchema } from '../shapes.ts';

const auditEventOut = z
  .strictObject({
    id: z.guid(),
    at: instantOut,
    actor: z.string().meta({ description: 'person:{userId} or service:{keyId}' }),
    action: z.string().meta({ examples: ['member.changed'] }),
    teamId: teamIdSchema.nullable(),
    subject: z.string().nullable().meta({ description: 'The changed object, if it is not the team itself' }),
    reason: z.string().nullable(),
    before: z.unknown().nullable(),
    after: z.unknown().nullable(),
  })
  .meta({ id: 'AuditEvent' });

export const auditRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/audit',
    tag: 'Operations',
    summary: 'Every administrative action, newest first: who, before and after',
    description:
      'Roles, invitations, limits, plans, adjustments, names, deletions, operators’ decisions. Users are named by id only. Records cannot be changed.',
    access: { services: ['admin'] },
    request: {
      query: listQuery.extend({
        teamId: teamIdSchema.exactOptional(),
        actor: z.string().min(1).max(200).exactOptional(),
      }),
    },
    answers: { 200: pageOf(auditEventOut) },
    refusals: ['invalid_cursor'],
    async handle({ query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listAuditEvents(database.fork(), query);
      const events = data.map(({ id, at, actor, action, teamId, subject, reason, before, after }) => ({
        id,
        at: at.toISOString(),
        actor,
        action,
        teamId,
        subject,
        reason,
        before,
        after,
      }));
      return { status: 200, body: { data: events, nextCursor } };
    },
  }),
];
