import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { readRun } from '../../ledger/read/read-run.ts';
import { anyRole } from '../authorize.ts';
import { defineRoute } from '../define-route.ts';
import { holdDetailsJson, holdDetailsOut } from '../hold-details.ts';
import { grantShareOut, listQuery, nullableText, runIdSchema, teamParams } from '../shapes.ts';
import { usageEventJson, usageEventOut } from '../usage-event.ts';

const stepOut = z
  .strictObject({
    stepId: nullableText('summarise', 'Null: usage of the run that names no step'),
    credits: decimalOut.meta({ description: 'Of the whole step' }),
    events: z.int(),
    receipts: z.array(usageEventOut).meta({ description: 'Those on this page, newest first' }),
  })
  .meta({ id: 'RunStep' });

const runOut = z
  .strictObject({
    runId: z.string().meta({ examples: ['run_8f2c'] }),
    credits: decimalOut.meta({ description: 'Of the whole run' }),
    events: z.int(),
    steps: z.array(stepOut).meta({ description: 'The steps with receipts on this page' }),
    holds: z
      .array(holdDetailsOut)
      .meta({ description: 'The run’s holds, open ones first, then the newest; at most 100' }),
    grants: z.array(grantShareOut).meta({ description: 'The grants that paid for the run' }),
    nextCursor: nullableText('1769860800000.01929d7e-8c1f-7a54', 'Null on the last page'),
  })
  .meta({ id: 'Run' });

export const runRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/runs/{runId}',
    tag: 'Usage',
    operationId: 'readRun',
    summary: 'Read the statement of a workflow run: steps, receipts, holds and the grants that paid',
    description:
      'Pages contain the run’s receipts by occurredAt, newest first, grouped by step. The sums are those of the whole run on each page. A run without usage has consumed 0.',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams.extend({ runId: runIdSchema }), query: listQuery },
    heavy: () => true,
    answers: { 200: runOut },
    async handle({ params: { teamId, runId }, query }, { dependencies: { database } }) {
      const run = await readRun(database.pool, teamId, runId, query);
      const body = {
        runId,
        credits: formatCredits(run.credits),
        events: run.events,
        steps: run.steps.map((step) => ({
          ...step,
          credits: formatCredits(step.credits),
          receipts: step.receipts.map(usageEventJson),
        })),
        holds: run.holds.map(holdDetailsJson),
        grants: run.grants.map((grant) => ({ ...grant, credits: formatCredits(grant.credits) })),
        nextCursor: run.nextCursor,
      };
      return { status: 200, body };
    },
  }),
];
