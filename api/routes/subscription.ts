import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { anchorDayOf } from '../../catalog/cycle.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { isRefusal } from '../../domain-error.ts';
import {
  describeSubscription,
  readSubscriptions,
  type TeamSubscription,
} from '../../ledger/read/read-subscription.ts';
import { cancelSubscription, changePlan, resumeSubscription } from '../../polar/change-subscription.ts';
import type { PolarSubscription } from '../../polar/events.ts';
import { resolveProduct } from '../../polar/resolve-product.ts';
import { type Act, recordAct } from '../../teams/actor.ts';
import { idempotentElsewhere } from '../../teams/idempotent.ts';
import { anyRole, billingRoles } from '../authorize.ts';
import { type CallContext, defineRoute } from '../define-route.ts';
import type { Dependencies } from '../dependencies.ts';
import { creditsAtOut, instantOut, teamParams } from '../shapes.ts';

const subscriptionShape = {
  id: z.string().meta({
    description: 'Polar’s id of the subscription',
    examples: ['0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a003'],
  }),
  plan: z.string().meta({ description: 'The key of the plan', examples: ['pro_monthly'] }),
  status: z.string().meta({ description: 'The status at Polar', examples: ['active'] }),
  cycle: z.strictObject({ start: instantOut, end: instantOut }).meta({ id: 'Cycle' }),
  cancelAtPeriodEnd: z.boolean(),
  nextAllotment: creditsAtOut.nullable().meta({
    description:
      'The next credits, granted when they are paid; null if none follow or a payment is due first',
  }),
  paymentDue: z
    .strictObject({ since: instantOut, credits: decimalOut })
    .meta({ id: 'PaymentDue' })
    .nullable()
    .meta({ description: 'The payment that is due, and the credits that it brings' }),
};
const subscriptionOut = z.strictObject(subscriptionShape).meta({ id: 'Subscription' });

const currentOut = z
  .strictObject({
    ...subscriptionShape,
    others: z.array(subscriptionOut).meta({
      description: 'Further subscriptions of the team that may be charged; normally none',
      examples: [[]],
    }),
  })
  .meta({ id: 'CurrentSubscription' });

const subscriptionId = z
  .string()
  .min(1)
  .max(255)
  .optional()
  .meta({
    description: 'Which of the team’s subscriptions; default: the one that GET shows first',
    examples: ['0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a003'],
  });
const chosenBody = z.strictObject({ subscriptionId }).meta({ id: 'ChosenSubscription' }).optional();
const planChangeIn = z
  .strictObject({
    plan: z
      .string()
      .min(1)
      .max(100)
      .meta({ examples: ['pro_yearly'] }),
    subscriptionId,
  })
  .meta({ id: 'PlanChange' });

const change = {
  method: 'post',
  tag: 'Billing',
  access: { services: ['billing'], persons: billingRoles },
  needsIdempotencyKey: true,
  asksPolar: true,
  answers: { 200: subscriptionOut },
  refusals: [
    'payment_failed',
    'unknown_subscription',
    'polar_not_found',
    'no_subscription',
    'subscription_paused',
    'subscription_ended',
    'subscription_inactive',
    'subscription_locked',
    'polar_conflict',
    'unknown_product',
    'polar_unavailable',
    'polar_refused',
    'product_not_synced',
    'catalog_not_published',
  ],
} as const;

export const subscriptionRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/subscription',
    tag: 'Billing',
    operationId: 'readSubscription',
    summary: 'Read the team’s current subscription; null if there is none',
    access: { services: ['usage', 'billing', 'admin'], persons: anyRole },
    request: { params: teamParams },
    answers: { 200: currentOut.nullable() },
    async handle({ params: { teamId } }, { dependencies: { database } }) {
      const [first, ...others] = (await readSubscriptions(database.fork(), teamId)).map(subscriptionJson);
      return { status: 200, body: first ? { ...first, others } : null };
    },
  }),

  defineRoute({
    ...change,
    path: '/v1/teams/{teamId}/subscription/change',
    operationId: 'changePlan',
    summary: 'Change the plan: an upgrade at once, a downgrade with the next cycle',
    request: {
      params: teamParams,
      body: planChangeIn,
    },
    async handle({ params: { teamId }, body: { plan, subscriptionId } }, context) {
      const asked = { done: 'changed', plan } as const;
      return answerChange(context, teamId, asked, ({ polar, database }, beforeChange) =>
        changePlan(polar, database, { teamId, plan, subscriptionId, beforeChange }),
      );
    },
  }),

  defineRoute({
    ...change,
    path: '/v1/teams/{teamId}/subscription/cancel',
    operationId: 'cancelSubscription',
    summary: 'Cancel at the end of the cycle; a paused subscription ends at once',
    request: { params: teamParams, body: chosenBody },
    async handle({ params, body }, context) {
      return answerChange(context, params.teamId, { done: 'canceled' }, ({ polar, database }, beforeChange) =>
        cancelSubscription(polar, database, { ...params, ...body, beforeChange }),
      );
    },
  }),

  defineRoute({
    ...change,
    path: '/v1/teams/{teamId}/subscription/resume',
    operationId: 'resumeSubscription',
    summary: 'Undo a cancellation, or resume a paused subscription, which is charged for its next cycle',
    request: { params: teamParams, body: chosenBody },
    async handle({ params, body }, context) {
      return answerChange(context, params.teamId, { done: 'resumed' }, ({ polar, database }, beforeChange) =>
        resumeSubscription(polar, database, { ...params, ...body, beforeChange }),
      );
    },
  }),
];

/** A requested change: `subscription.{done}` is the name of its audit record. */
interface AskedChange {
  done: 'changed' | 'canceled' | 'resumed';
  /** The plan to change to. */
  plan?: string;
}

/**
 * Polar makes the change. The request is recorded before the call to Polar, and the outcome afterwards: if this process ends
 * in between, the record still says who requested it. A request that changes nothing leaves no record.
 */
function answerChange(
  { dependencies, idempotency, caller }: CallContext,
  teamId: string,
  { done, plan }: AskedChange,
  change: (
    dependencies: Dependencies,
    beforeChange: (current: PolarSubscription) => Promise<void>,
  ) => Promise<PolarSubscription>,
) {
  const { database } = dependencies;
  const record = (act: Act) => database.transaction((em) => recordAct(em, caller(), { ...act, teamId }));
  return idempotentElsewhere(database, idempotency(), async () => {
    let asked: { subject: string; before: object } | undefined;
    const beforeChange = async (current: PolarSubscription) => {
      const before = planOf(await describeState(dependencies, teamId, current));
      asked = { subject: current.id, before };
      await record({ action: `subscription.${done}.requested`, ...asked, after: plan ? { plan } : null });
    };
    try {
      const changed = await describeState(dependencies, teamId, await change(dependencies, beforeChange));
      if (asked) await record({ action: `subscription.${done}`, ...asked, after: planOf(changed) });
      return { status: 200, body: subscriptionJson(changed) };
    } catch (error) {
      // Without an answer from Polar the outcome is unknown here. The subscription's webhooks show it.
      if (asked && isRefusal(error))
        await record({ action: `subscription.${done}.refused`, reason: error.code, ...asked });
      throw error;
    }
  });
}

function planOf({ id, plan, status, cancelAtPeriodEnd, nextAllotment }: TeamSubscription) {
  const next = nextAllotment && formatCredits(nextAllotment.credits);
  return { id, plan, status, cancelAtPeriodEnd, nextAllotment: next };
}

/** The state that Polar has just returned. Our database gets it by a webhook a moment later. */
async function describeState(
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
    plan: (await resolveProduct(em, state)) ?? (await em.findOneOrFail(Subscription, { id: state.id })).plan,
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
  paymentDue,
  ...rest
}: TeamSubscription): z.output<typeof subscriptionOut> {
  return {
    ...rest,
    cycle: { start: cycle.start.toISOString(), end: cycle.end.toISOString() },
    nextAllotment: nextAllotment && {
      at: nextAllotment.at.toISOString(),
      credits: formatCredits(nextAllotment.credits),
    },
    paymentDue: paymentDue && {
      since: paymentDue.since.toISOString(),
      credits: formatCredits(paymentDue.credits),
    },
  };
}
