import { z } from 'zod';
import { decimalOut, formatCredits, signedCreditsSchema } from '../../catalog/credits.ts';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import { adjustCredits } from '../../ledger/lifecycle/adjust-credits.ts';
import { listAdjustments } from '../../ledger/read/list-adjustments.ts';
import { recordAct } from '../../teams/actor.ts';
import { idempotent } from '../../teams/idempotent.ts';
import { nameCaller } from '../authenticate.ts';
import { defineRoute } from '../define-route.ts';
import { grantSourceOut, instantIn, instantOut, listQuery, pageOf, teamParams } from '../shapes.ts';

const adjustmentIn = z
  .strictObject({
    credits: signedCreditsSchema,
    reason: z.string().trim().min(1).max(500),
    expiresAt: instantIn
      .exactOptional()
      .meta({ description: 'Of credits that are given; without it they never expire' }),
    orderId: z.guid().exactOptional().meta({
      description:
        'Of credits that are taken: only those that this order paid for are taken, and a refund of it takes so many less. Without it what is taken counts as use',
    }),
  })
  .refine(({ credits, orderId }) => credits < 0n || orderId === undefined, {
    path: ['orderId'],
    error: 'credits that are given belong to no order',
  })
  .refine(({ credits, expiresAt }) => credits > 0n || expiresAt === undefined, {
    path: ['expiresAt'],
    error: 'credits that are taken do not expire',
  });

const adjustmentOut = {
  id: z.guid(),
  credits: decimalOut.meta({ description: 'Up, or down where negative' }),
  reason: z.string(),
  by: z.string().meta({ description: 'Who asked for it', examples: ['service:environment'] }),
};

export const adjustmentRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/teams/{teamId}/adjustments',
    tag: 'Adjustments',
    summary: 'Give or take credits by hand',
    description:
      'Credits that are given are a grant of their own and pay the team’s debts first; credits are taken in burn order.',
    access: { services: ['admin'] },
    needsIdempotencyKey: true,
    request: { params: teamParams, body: adjustmentIn },
    answers: {
      201: z.strictObject({
        ...adjustmentOut,
        grants: z
          .array(z.strictObject({ grantId: z.guid(), source: grantSourceOut, credits: decimalOut }))
          .meta({ description: 'The grant that was made, or those that credits were taken from' }),
        balance: z.strictObject({ available: decimalOut }),
      }),
    },
    refusals: ['insufficient_credits', 'expires_in_the_past', 'balance_too_large'],
    async handle(
      { params: { teamId }, body },
      { dependencies: { database, temporal }, caller, confirmRights, idempotency },
    ) {
      const by = nameCaller(caller());
      let inboxId: string | null = null;
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
        const told = await storeInboxEvent(em, {
          teamId,
          source: 'operator',
          type: 'credits.adjusted',
          externalId: `adjustment:${adjusted.id}`,
          payload: { adjustmentId: adjusted.id },
        });
        inboxId = told.id;
        return {
          status: 201,
          body: { id: adjusted.id, credits: formatCredits(credits), reason, by, grants, balance },
        };
      });
      if (inboxId !== null) temporal.signal(teamId, inboxId);
      return answer;
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/adjustments',
    tag: 'Adjustments',
    summary: 'What was given and taken by hand, with who and why, newest first',
    access: { services: ['admin'] },
    request: { params: teamParams, query: listQuery },
    answers: {
      200: pageOf(
        z.strictObject({ ...adjustmentOut, expiresAt: instantOut.nullable(), createdAt: instantOut }),
      ),
    },
    refusals: ['invalid_cursor'],
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
