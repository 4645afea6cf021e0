import { z } from 'zod';
import { decimalOut, formatCredits, signedCreditsSchema } from '../../catalog/credits.ts';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import type { WaitingEvent } from '../../inbox/waiting-event.ts';
import { adjustCredits } from '../../ledger/lifecycle/adjust-credits.ts';
import { listAdjustments } from '../../ledger/read/list-adjustments.ts';
import { recordAct } from '../../teams/actor.ts';
import { idempotent } from '../../teams/idempotent.ts';
import { nameCaller } from '../authenticate.ts';
import { defineRoute } from '../define-route.ts';
import {
  availableOut,
  grantShareOut,
  instantIn,
  instantOut,
  listQuery,
  pageOf,
  teamParams,
} from '../shapes.ts';

const adjustmentIn = z
  .strictObject({
    credits: signedCreditsSchema,
    reason: z
      .string()
      .trim()
      .min(1)
      .max(500)
      .meta({ examples: ['Compensation for the outage of 12 May'] }),
    expiresAt: instantIn
      .exactOptional()
      .meta({ description: 'When given credits expire; without it they never expire' }),
    orderId: z.guid().exactOptional().meta({
      description:
        'Only if credits are taken: take them from this order’s credits, and a later refund of the order takes that amount less. Without it, the taken credits count as used',
    }),
  })
  .refine(({ credits, orderId }) => credits < 0n || orderId === undefined, {
    path: ['orderId'],
    error: 'orderId is only allowed for credits that are taken',
  })
  .refine(({ credits, expiresAt }) => credits > 0n || expiresAt === undefined, {
    path: ['expiresAt'],
    error: 'expiresAt is only allowed for credits that are given',
  })
  .meta({
    id: 'NewAdjustment',
    override: { examples: [{ credits: '+100', reason: 'Compensation for the outage of 12 May' }] },
  });

const adjustmentShape = {
  id: z.guid(),
  credits: decimalOut.meta({ description: 'Given credits, or taken credits if negative' }),
  reason: z.string().meta({ examples: ['Compensation for the outage of 12 May'] }),
  by: z.string().meta({ description: 'The caller who made it', examples: ['service:environment'] }),
};

const madeAdjustmentOut = z
  .strictObject({
    ...adjustmentShape,
    grants: z
      .array(grantShareOut)
      .meta({ description: 'The grant that was made, or the grants that credits were taken from' }),
    balance: availableOut,
  })
  .meta({ id: 'MadeAdjustment' });

const adjustmentOut = z
  .strictObject({ ...adjustmentShape, expiresAt: instantOut.nullable(), createdAt: instantOut })
  .meta({ id: 'Adjustment' });

export const adjustmentRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/adjustments',
    tag: 'Adjustments',
    operationId: 'adjustCredits',
    summary: 'Give or take credits by hand',
    description:
      'Given credits become a grant of their own and first settle the team’s debts. Credits are taken in burn order.',
    access: { services: ['admin'] },
    needsIdempotencyKey: true,
    request: { params: teamParams, body: adjustmentIn },
    answers: {
      201: madeAdjustmentOut,
    },
    refusals: ['insufficient_credits', 'expires_in_the_past', 'balance_too_large'],
    async handle(
      { params: { teamId }, body },
      { dependencies: { database, temporal }, caller, confirmRights, idempotency },
    ) {
      const by = nameCaller(caller());
      let event: WaitingEvent | null = null;
      const answer = await idempotent(database, idempotency(), async (em) => {
        await confirmRights(em);
        const { credits, reason, expiresAt = null, orderId = null } = body;
        const adjusted = await adjustCredits(em, { teamId, credits, reason, actor: by, expiresAt, orderId });
        await recordAct(em, caller(), {
          action: 'credits.adjusted',
          teamId,
          subject: adjusted.id,
          reason,
          after: { credits: formatCredits(credits), available: formatCredits(adjusted.available) },
        });
        const grants = adjusted.grants.map((grant) => ({ ...grant, credits: formatCredits(grant.credits) }));
        const balance = { available: formatCredits(adjusted.available) };
        // The team's workflow sets its timer to the new expiry.
        const stored = await storeInboxEvent(em, {
          teamId,
          source: 'operator',
          type: 'credits.adjusted',
          externalId: `adjustment:${adjusted.id}`,
          payload: { adjustmentId: adjusted.id },
        });
        event = stored.event;
        return {
          status: 201,
          body: { id: adjusted.id, credits: formatCredits(credits), reason, by, grants, balance },
        };
      });
      if (event !== null) temporal.signal(teamId, event);
      return answer;
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/adjustments',
    tag: 'Adjustments',
    operationId: 'listAdjustments',
    summary: 'List the adjustments, newest first',
    access: { services: ['admin'] },
    request: { params: teamParams, query: listQuery },
    answers: {
      200: pageOf('AdjustmentPage', adjustmentOut),
    },
    async handle({ params: { teamId }, query }, { dependencies: { database } }) {
      const { data, nextCursor } = await listAdjustments(database.fork(), teamId, query);
      const adjustments = data.map(({ id, credits, reason, actor, expiresAt, createdAt }) => ({
        id,
        credits: formatCredits(credits),
        reason,
        by: actor,
        expiresAt: expiresAt?.toISOString() ?? null,
        createdAt: createdAt.toISOString(),
      }));
      return { status: 200, body: { data: adjustments, nextCursor } };
    },
  }),
];
