import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Plan } from '../catalog/schema.ts';
import { type Database, readClock } from '../database/connection.ts';
import { findCurrentSubscription, Subscription } from '../database/entities/subscription.ts';
import { DomainError, hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { endSubscription } from './end-subscriptions.ts';
import { fetchSubscription, type PolarSubscription, readAnswer, readSubscription } from './events.ts';
import { findSellableProduct } from './find-sellable-product.ts';
import { resolveProduct } from './resolve-product.ts';

/** Which of the team's subscriptions to change. */
export interface ChosenSubscription {
  teamId: string;
  /** Polar's id. Default: the team's current subscription. */
  subscriptionId?: string | undefined;
  /**
   * Called with Polar's current subscription, right before the change at Polar, and not called if nothing has to change. If it
   * throws, nothing is changed.
   */
  beforeChange: (current: PolarSubscription) => Promise<void>;
}

/**
 * Changes the team's plan: an upgrade at once, with an invoice for the difference, a downgrade with the next period
 * (both by the catalog's policies). If the team already has the plan, or will have it with the next period, nothing
 * changes. Choosing the current plan cancels a pending change.
 *
 * @returns the subscription at Polar afterwards
 * @throws DomainError `unknown_product`, `product_not_synced`, `unknown_subscription`;
 *   `no_subscription`, `subscription_paused` (Polar cannot change a paused one), `subscription_ended` (canceled:
 *   resume it first); `payment_failed`, with the plan unchanged; as `callPolar`
 */
export async function changePlan(
  polar: Polar,
  database: Database,
  { plan, ...chosen }: ChosenSubscription & { plan: string },
): Promise<PolarSubscription> {
  const { current, effect, polarProductId, proration } = await decidePlanChange(polar, database, {
    ...chosen,
    plan,
  });
  if (effect === 'unchanged') return current;
  await chosen.beforeChange(current);
  if (effect === 'undo') return update(polar, current.id, { pending_update: null }, hasNothingPending);
  return update(
    polar,
    current.id,
    { product_id: polarProductId, proration_behavior: proration },
    (now) => now.productId === polarProductId || now.pendingUpdate?.productId === polarProductId,
  );
}

/** A change of plan before it is made. */
export interface PlanChangeDecision {
  current: PolarSubscription;
  /** The catalog key of the current plan; null if the catalog has none for its product. */
  currentPlan: string | null;
  /** `undo`: only the change that waits for the next period is canceled. */
  effect: 'unchanged' | 'undo' | 'change';
  polarProductId: string;
  proration: 'invoice' | 'prorate' | 'next_period';
  /** The currency of the chosen plan's price. */
  currency: string;
}

/**
 * Decides what a change of plan does, by the catalog's policies, without making it.
 * @throws DomainError as {@link changePlan}, without `payment_failed`
 */
export async function decidePlanChange(
  polar: Polar,
  database: Database,
  { plan: key, ...chosen }: Omit<ChosenSubscription, 'beforeChange'> & { plan: string },
): Promise<PlanChangeDecision> {
  const em = database.fork();
  const { product, polarProductId, catalog } = await findSellableProduct(em, key);
  if (product.kind !== 'plan') {
    throw new DomainError(
      'unknown_product',
      `${key} is a pack: choose a plan, or buy the pack with a checkout`,
    );
  }
  const current = await fetchChosen(polar, database, chosen);
  if (current.status === 'paused') throw subscriptionPaused(await resolveProduct(em, current));
  const currentKey = await resolveProduct(em, current);
  const pending = current.pendingUpdate?.productId ?? null;
  const pendingKey = pending && (await resolveProduct(em, { productId: pending, productCatalogKey: null }));

  const from = catalog.plans.find((plan) => plan.key === currentKey);
  const proration =
    !from || isUpgrade(from, product.plan)
      ? catalog.policies.upgradeProration
      : catalog.policies.downgradeProration;
  const effect = (pendingKey ?? currentKey) === key ? 'unchanged' : currentKey === key ? 'undo' : 'change';
  return {
    current,
    currentPlan: currentKey,
    effect,
    polarProductId,
    proration,
    currency: product.plan.price.currency,
  };
}

/**
 * Cancels at the end of the period. The paid credits stay until then. If it is already canceled, nothing changes. A
 * paused subscription whose period is over ends at once, because Polar refuses to cancel it at the end of a period,
 * and no paid time is left.
 *
 * @throws DomainError `unknown_subscription`, `no_subscription`; as `callPolar`
 */
export async function cancelSubscription(
  polar: Polar,
  database: Database,
  chosen: ChosenSubscription,
): Promise<PolarSubscription> {
  const current = await fetchChosen(polar, database, chosen);
  if (isCanceled(current)) return current;
  await chosen.beforeChange(current);
  if (current.status === 'paused' && current.currentPeriodEnd <= (await readClock(database.fork()))) {
    await endSubscription(polar, current.id);
    return fetchSubscription(polar, current.id);
  }
  return update(polar, current.id, { cancel_at_period_end: true }, isCanceled);
}

/**
 * Undoes a cancellation at the period's end, or resumes a paused subscription: its next period starts now and is
 * charged. If it is neither canceled nor paused, nothing changes.
 *
 * @throws DomainError `unknown_subscription`, `no_subscription`, `subscription_ended` if it has ended; as
 *   `callPolar`
 */
export async function resumeSubscription(
  polar: Polar,
  database: Database,
  chosen: ChosenSubscription,
): Promise<PolarSubscription> {
  const current = await fetchChosen(polar, database, chosen);
  if (hasEnded(current)) {
    throw new DomainError('subscription_ended', 'The subscription has ended: subscribe again');
  }
  if (current.status === 'paused') {
    await chosen.beforeChange(current);
    return update(polar, current.id, { resume: true }, ({ status }) => status !== 'paused');
  }
  if (!isCanceled(current)) return current;
  await chosen.beforeChange(current);
  return update(polar, current.id, { cancel_at_period_end: false }, (now) => !isCanceled(now));
}

/**
 * Whether `to` gives more credits a month than `from`. At the same rate the longer interval is the upgrade: it is
 * charged now, and a change to the shorter interval waits for the end of the paid period.
 */
function isUpgrade(from: Plan, to: Plan): boolean {
  const before = from.allotment * BigInt(12 / months[from.interval]);
  const after = to.allotment * BigInt(12 / months[to.interval]);
  return after === before ? months[to.interval] > months[from.interval] : after > before;
}

const months = { month: 1, year: 12 } as const satisfies Record<Plan['interval'], number>;

/** Our tables say which subscriptions the team has. Polar returns their current state. */
async function fetchChosen(
  polar: Polar,
  database: Database,
  { teamId, subscriptionId }: Omit<ChosenSubscription, 'beforeChange'>,
): Promise<PolarSubscription> {
  const em = database.fork();
  const chosen =
    subscriptionId === undefined
      ? await findCurrentSubscription(em, teamId)
      : await em.findOne(Subscription, { id: subscriptionId, teamId });
  if (!chosen && subscriptionId !== undefined) {
    const message = `The team has no subscription ${subscriptionId}: take an id from GET …/subscription`;
    throw new DomainError('unknown_subscription', message);
  }
  if (!chosen)
    throw new DomainError('no_subscription', 'The team has no subscription: create a checkout first');
  try {
    return await fetchSubscription(polar, chosen.id);
  } catch (error) {
    const isGone = hasCode(error, 'polar_not_found');
    throw isGone && chosen.status === 'paused' ? subscriptionPaused(chosen.plan) : error;
  }
}

/** @param plan  its catalog key */
export function subscriptionPaused(plan: string | null): DomainError {
  const message = `The subscription to ${plan} is paused: resume it or cancel it first`;
  return new DomainError('subscription_paused', message, { plan, status: 'paused' });
}

async function update(
  polar: Polar,
  id: string,
  change: models.SubscriptionUpdate,
  isDone: (now: PolarSubscription) => boolean,
): Promise<PolarSubscription> {
  return callPolar(
    'change',
    async () => readAnswer(readSubscription, await polar.subscriptions.update(id, change)),
    async () => {
      const now = await fetchSubscription(polar, id);
      return isDone(now) ? now : undefined;
    },
  );
}

function hasEnded({ endedAt, status }: PolarSubscription): boolean {
  return endedAt !== null || status === 'canceled';
}

function isCanceled(subscription: PolarSubscription): boolean {
  return subscription.cancelAtPeriodEnd || hasEnded(subscription);
}

function hasNothingPending({ pendingUpdate }: PolarSubscription): boolean {
  return pendingUpdate === null;
}
