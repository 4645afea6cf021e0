import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { anchorDayOf } from '../../catalog/cycle.ts';
import {
  describeSubscription,
  readSubscription,
  type TeamSubscription,
} from '../../ledger/read/read-subscription.ts';
import { cancelSubscription, changePlan, resumeSubscription } from '../../polar/change-subscription.ts';
import type { PolarSubscription } from '../../polar/events.ts';
import { resolveProduct } from '../../polar/resolve-product.ts';
import { idempotentElsewhere } from '../../teams/idempotent.ts';
import { anyRole, billingRoles } from '../authorize.ts';
import { type CallContext, defineRoute } from '../define-route.ts';
import type { Dependencies } from '../dependencies.ts';
import { instantOut, teamParams } from '../shapes.ts';

const subscription = z.strictObject({
  plan: z.string(),
  status: z.string(),
  cycle: z.strictObject({ start: instantOut, end: instantOut }),
  cancelAtPeriodEnd: z.boolean(),
  nextAllotment: z
    .strictObject({ at: instantOut, credits: decimalOut })
    .nullable()
    .meta({ description: 'The next credits, once they are paid; null where none come' }),
});

const change = {
  method: 'post',
  tag: 'Billing',
  access: { services: ['billing'], persons: billingRoles },
  needsIdempotencyKey: true,
  answers: { 200: subscription },
  refusals: {
    402: 'payment_failed',
    404: 'unknown_team, polar_not_found',
    409: 'no_subscription, subscription_ended, subscription_inactive, subscription_locked, polar_conflict, idempotency_conflict',
    422: 'invalid_request, unknown_product',
    502: 'polar_unavailable, polar_refused',
    503: 'polar_unavailable, product_not_synced, catalog_not_published',
  },
} as const;

export const subscriptionRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/subscription',
    tag: 'Billing',
    summary: 'The team’s subscription, or null',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams },
    answers: { 200: subscription.nullable() },
    refusals: { 404: 'unknown_team' },
    async handle({ params: { teamId } }, { dependencies: { database } }) {
      const found = await readSubscription(database.fork(), teamId);
      return { status: 200, body: found && subscriptionJson(found) };
    },
  }),

  defineRoute({
    ...change,
    path: '/v1/teams/{teamId}/subscription/change',
    summary: 'Change the plan: upwards at once, downwards with the next cycle',
    request: { params: teamParams, body: z.strictObject({ plan: z.string().min(1).max(100) }) },
    async handle({ params: { teamId }, body: { plan } }, context) {
      return answerChange(context, teamId, ({ polar, database }) =>
        changePlan(polar, database, { teamId, plan }),
      );
    },
  }),

  defineRoute({
    ...change,
    path: '/v1/teams/{teamId}/subscription/cancel',
    summary: 'Cancel at the end of the cycle',
    request: { params: teamParams },
    async handle({ params }, context) {
      return answerChange(context, params.teamId, ({ polar, database }) =>
        cancelSubscription(polar, database, params),
      );
    },
  }),

  defineRoute({
    ...change,
    path: '/v1/teams/{teamId}/subscription/resume',
    summary: 'Take a cancellation back',
    request: { params: teamParams },
    async handle({ params }, context) {
      return answerChange(context, params.teamId, ({ polar, database }) =>
        resumeSubscription(polar, database, params),
      );
    },
  }),
];

function answerChange(
  { dependencies, idempotency }: CallContext,
  teamId: string,
  change: (dependencies: Dependencies) => Promise<PolarSubscription>,
) {
  return idempotentElsewhere(dependencies.database, idempotency(), async () => ({
    status: 200,
    body: subscriptionJson(await describeChanged(dependencies, teamId, await change(dependencies))),
  }));
}

/** What Polar has just told: our mirror hears of it by a webhook, a moment later. */
async function describeChanged(
  { database }: Dependencies,
  teamId: string,
  state: PolarSubscription,
): Promise<TeamSubscription> {
  const em = database.fork();
  const nextProductId = state.pendingUpdate?.productId;
  const nextPlan = nextProductId
    ? await resolveProduct(em, { productId: nextProductId, productCatalogKey: null })
    : null;
  return describeSubscription(em, {
    ...state,
    teamId,
    plan: (await resolveProduct(em, state)) ?? '',
    anchorDay: anchorDayOf(
      { start: state.currentPeriodStart, end: state.currentPeriodEnd },
      state.startedAt ?? state.currentPeriodStart,
    ),
    nextPlan: nextPlan ?? undefined,
  });
}

function subscriptionJson({
  cycle,
  nextAllotment,
  ...rest
}: TeamSubscription): z.output<typeof subscription> {
  return {
    ...rest,
    cycle: { start: cycle.start.toISOString(), end: cycle.end.toISOString() },
    nextAllotment: nextAllotment && {
      at: nextAllotment.at.toISOString(),
      credits: formatCredits(nextAllotment.credits),
    },
  };
}
