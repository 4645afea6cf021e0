import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { anchorDayOf } from '../../catalog/cycle.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { DomainError, isRefusal } from '../../domain-error.ts';
import { previewPlanChange } from '../../ledger/read/preview-plan-change.ts';
import {
  describeSubscription,
  readSubscriptions,
  type TeamSubscription,
} from '../../ledger/read/read-subscription.ts';
import {
  cancelSubscription,
  changePlan,
  decidePlanChange,
  resumeSubscription,
} from '../../polar/change-subscription.ts';
import type { PolarSubscription } from '../../polar/events.ts';
import { resolveProduct, unknownProduct } from '../../polar/resolve-product.ts';
import { type Act, recordAct } from '../../teams/actor.ts';
import { idempotentElsewhere } from '../../teams/idempotent.ts';
import { anyRole, billingRoles } from '../authorize.ts';
import { type CallContext, defineRoute } from '../define-route.ts';
import type { Dependencies } from '../dependencies.ts';
import { creditsAtOut, instantOut, nullableText, teamParams } from '../shapes.ts';

const subscriptionShape = {
  id: z.string().meta({
    description: 'Polar’s id of the subscription',
    examples: ['0b7d6f0e-7f5c-4f7a-8a55-4d0ad9c2a003'],
  }),
  plan: z.string().meta({ description: 'The key of the plan', examples: ['pro_monthly'] }),
  status: z.string().meta({ description: 'The status at Polar', examples: ['active'] }),
  cycle: z.strictObject({ start: instantOut, end: instantOut }).meta({ id: 'Cycle' }),
  cancelAtPeriodEnd: z.boolean(),
  scheduledChange: z
    .strictObject({ plan: z.string().meta({ examples: ['starter_monthly'] }), at: instantOut })
    .meta({ id: 'ScheduledPlanChange' })
    .nullable()
    .meta({
      description: 'The plan of the next cycle, if it is another one. A change to the current plan undoes it',
      examples: [null],
    }),
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

const money = z.int().meta({
  description: 'In the currency’s minor units, before tax; negative: credited to the team’s balance at Polar',
  examples: [2000],
});
const previewOut = z
  .strictObject({
    currentPlan: nullableText('starter_monthly'),
    plan: z.string().meta({ examples: ['pro_monthly'] }),
    effect: z.enum(['unchanged', 'undo', 'now', 'next_cycle']).meta({
      description:
        '`unchanged`: the team has this plan, or will have it. `undo`: the scheduled change is undone. `now`, `next_cycle`: when the plan changes',
      examples: ['now'],
    }),
    effectiveAt: instantOut.nullable().meta({ description: 'Null if the plan does not change' }),
    payment: z
      .strictObject({
        amount: money,
        currency: z.string().meta({ examples: ['usd'] }),
        isEstimate: z.boolean().meta({
          description:
            'Polar has no preview of a change. The amount is computed as Polar does, without discounts, tax and balance',
        }),
        lines: z.array(
          z
            .strictObject({
              plan: z.string().meta({ examples: ['pro_monthly'] }),
              amount: money,
              start: instantOut,
              end: instantOut,
            })
            .meta({ id: 'PlanChangeLine' }),
        ),
      })
      .meta({ id: 'PlanChangePayment', description: 'What is charged now' }),
    creditsGranted: decimalOut.meta({ description: 'The credits that arrive now, when the payment is made' }),
    creditsTaken: decimalOut.meta({
      description:
        'The credits that the change takes now, for the time of the old plan whose money is returned',
    }),
    unused: z
      .strictObject({ credits: decimalOut, until: instantOut })
      .meta({ id: 'UnusedCredits' })
      .nullable()
      .meta({ description: 'What is left of the current cycle’s credits, and until when it can be spent' }),
    nextCycle: z
      .strictObject({ at: instantOut, amount: money, credits: decimalOut })
      .meta({ id: 'NextCyclePreview' })
      .nullable()
      .meta({ description: 'What the next cycle costs, and the credits that it begins with' }),
  })
  .meta({ id: 'PlanChangePreview' });

const previewQuery = z.strictObject({
  plan: z
    .string()
    .min(1)
    .max(100)
    .meta({ description: 'The key of the plan to change to', examples: ['pro_monthly'] }),
  subscriptionId,
});

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
    'polar_unreadable',
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
    method: 'get',
    path: '/v1/teams/{teamId}/subscription/preview',
    tag: 'Billing',
    operationId: 'previewPlanChange',
    summary: 'Preview a change of plan: what it costs, which credits come and go, and when',
    description: 'The credits are computed by the rules that apply the change. Nothing is changed.',
    access: change.access,
    asksPolar: true,
    request: { params: teamParams, query: previewQuery },
    answers: { 200: previewOut },
    refusals: change.refusals.filter((code) => code !== 'payment_failed'),
    async handle({ params: { teamId }, query: { plan, subscriptionId } }, { dependencies }) {
      return { status: 200, body: await preview(dependencies, { teamId, plan, subscriptionId }) };
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

const billedBy = { invoice: 'now', prorate: 'nextOrder', next_period: 'nextCycle' } as const;

/** The preview of a change, decided by the same code that makes it. */
async function preview(
  { polar, database }: Dependencies,
  chosen: { teamId: string; plan: string; subscriptionId: string | undefined },
): Promise<z.output<typeof previewOut>> {
  const { plan } = chosen;
  const { current, currentPlan, effect, proration, currency } = await decidePlanChange(
    polar,
    database,
    chosen,
  );
  const nothing = { amount: 0, currency, isEstimate: false, lines: [] };
  const noChange = {
    currentPlan,
    plan,
    effectiveAt: null,
    payment: nothing,
    creditsGranted: '0',
    creditsTaken: '0',
    unused: null,
  };
  if (effect !== 'change')
    return { ...noChange, effect: effect === 'undo' ? 'undo' : 'unchanged', nextCycle: null };
  refuseUnchangeable(current);
  if (currentPlan === null) throw unknownProduct(current);

  const previewed = await previewPlanChange(database.fork(), {
    subscriptionId: current.id,
    cycle: { start: current.currentPeriodStart, end: current.currentPeriodEnd },
    from: currentPlan,
    to: plan,
    inTrial: current.status === 'trialing',
    billed: billedBy[proration],
  });
  const { effectiveAt, payment, granted, taken, unused, nextCycle } = previewed;
  return {
    currentPlan,
    plan,
    effect: proration === 'next_period' ? 'next_cycle' : 'now',
    effectiveAt: effectiveAt.toISOString(),
    payment: {
      amount: Number(payment.amount),
      currency,
      isEstimate: payment.lines.length > 0,
      lines: payment.lines.map(({ amount, start, end, ...line }) => ({
        ...line,
        amount: Number(amount),
        start: start.toISOString(),
        end: end.toISOString(),
      })),
    },
    creditsGranted: formatCredits(granted),
    creditsTaken: formatCredits(taken),
    unused: unused && { credits: formatCredits(unused.credits), until: unused.until.toISOString() },
    nextCycle: {
      at: nextCycle.at.toISOString(),
      amount: Number(nextCycle.amount),
      credits: formatCredits(nextCycle.credits),
    },
  };
}

/** Polar refuses to change such a subscription. @throws DomainError `subscription_ended`, `subscription_inactive` */
function refuseUnchangeable({ status, cancelAtPeriodEnd }: PolarSubscription): void {
  if (cancelAtPeriodEnd || status === 'canceled')
    throw new DomainError('subscription_ended', 'The subscription is canceled: resume it first');
  if (status !== 'active' && status !== 'trialing')
    throw new DomainError('subscription_inactive', `The subscription is ${status}: pay what is due first`);
}

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
  scheduledChange,
  nextAllotment,
  paymentDue,
  ...rest
}: TeamSubscription): z.output<typeof subscriptionOut> {
  return {
    ...rest,
    cycle: { start: cycle.start.toISOString(), end: cycle.end.toISOString() },
    scheduledChange: scheduledChange && { ...scheduledChange, at: scheduledChange.at.toISOString() },
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
