import { z } from 'zod';
import { decimalOut } from '../../catalog/credits.ts';
import { reconciliationStatuses } from '../../database/entities/reconciliation.ts';
import { listReconciliations } from '../../reconciliation/reports.ts';
import { findingStates } from '../../reconciliation/store-repair.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, pageOf, teamIdSchema } from '../shapes.ts';

const finding = z.strictObject({
  state: z.enum(findingStates),
  what: z.string(),
  teamId: teamIdSchema.nullable(),
  inboxId: z
    .guid()
    .nullable()
    .meta({ description: 'The event that repairs it; retry or approve this event' }),
  credits: decimalOut.meta({ description: 'Maximum that the repair grants or takes' }),
});

const reconciliation = z.strictObject({
  id: z.guid().meta({ description: 'Temporal’s id of the workflow run' }),
  startedAt: instantOut,
  finishedAt: instantOut.nullable(),
  status: z.enum(reconciliationStatuses),
  counts: z
    .record(z.string(), z.int())
    .meta({ description: 'Counts of compared objects, and of differences by result' }),
  findings: z.array(finding).meta({ description: 'What differed, 200 at most' }),
});

export const reconciliationRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/reconciliations',
    tag: 'Operations',
    summary: 'Reports of the reconciliation with Polar, newest first',
    access: { services: ['admin'] },
    request: { query: listQuery },
    answers: { 200: pageOf(reconciliation) },
    refusals: ['invalid_cursor'],
    async handle({ query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listReconciliations(database.fork(), query);
      const reports = data.map((report) => ({
        ...report,
        startedAt: report.startedAt.toISOString(),
        finishedAt: report.finishedAt?.toISOString() ?? null,
      }));
      return { status: 200, body: { data: reports, nextCursor } };
    },
  }),
];
