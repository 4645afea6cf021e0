import { z } from 'zod';
import { decimalOut } from '../../catalog/credits.ts';
import { reconciliationStatuses } from '../../database/entities/reconciliation.ts';
import { listReconciliations } from '../../reconciliation/reports.ts';
import { findingStates } from '../../reconciliation/store-repair.ts';
import { defineRoute } from '../define-route.ts';
import { instantOut, listQuery, pageOf, teamIdSchema } from '../shapes.ts';

const findingOut = z
  .strictObject({
    state: z.enum(findingStates),
    what: z.string().meta({ examples: ['Order 0b7d6f0e was paid, and its webhook never arrived'] }),
    teamId: teamIdSchema.nullable(),
    inboxId: z
      .guid()
      .nullable()
      .meta({ description: 'The event that repairs the difference: retry or approve it' }),
    credits: decimalOut.meta({ description: 'The maximum that the repair grants or takes' }),
  })
  .meta({ id: 'ReconciliationFinding' });

const reconciliationOut = z
  .strictObject({
    id: z.guid().meta({ description: 'Temporal’s id of the workflow’s run' }),
    startedAt: instantOut,
    finishedAt: instantOut.nullable(),
    status: z.enum(reconciliationStatuses),
    counts: z.record(z.string(), z.int()).meta({
      description: 'Objects compared, and findings by state',
      examples: [{ orders: 120, repaired: 1 }],
    }),
    findings: z.array(findingOut).meta({ description: 'The first 200 differences' }),
  })
  .meta({ id: 'Reconciliation' });

export const reconciliationRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/reconciliations',
    tag: 'Operations',
    operationId: 'listReconciliations',
    summary: 'List the reports of the comparison with Polar, newest first',
    access: { services: ['admin'] },
    request: { query: listQuery },
    answers: { 200: pageOf('ReconciliationPage', reconciliationOut) },
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
