import { z } from 'zod';
import { listAuditEvents } from '../../teams/list-audit-events.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, nullableText, pageOf, teamIdSchema } from '../shapes.ts';

const auditEventOut = z
  .strictObject({
    id: z.guid(),
    at: instantOut,
    actor: z.string().meta({
      description: 'person:{userId}, service:{keyId}, or operator:{name}',
      examples: ['person:user_42'],
    }),
    action: z.string().meta({ examples: ['member.changed'] }),
    teamId: teamIdSchema.nullable(),
    subject: nullableText('user_43', 'The changed object, if it is not the team itself'),
    reason: nullableText('Compensation for the outage of 12 May'),
    before: z.unknown().meta({ description: 'The changed values before', examples: [{ role: 'member' }] }),
    after: z.unknown().meta({ description: 'The changed values after', examples: [{ role: 'billing' }] }),
  })
  .meta({ id: 'AuditEvent' });

export const auditRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/audit',
    tag: 'Operations',
    operationId: 'listAuditEvents',
    summary: 'List the administrative acts, newest first',
    description:
      'Changes of roles, invitations, limits, plans, adjustments and names, deletions, and decisions of operators. Users are named by id only. Nobody can change an entry.',
    access: { services: ['admin'] },
    request: {
      query: listQuery.extend({
        teamId: teamIdSchema.exactOptional(),
        actor: z
          .string()
          .min(1)
          .max(200)
          .exactOptional()
          .meta({ examples: ['person:user_42'] }),
      }),
    },
    answers: { 200: pageOf('AuditEventPage', auditEventOut) },
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
