import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Plan } from '../catalog/schema.ts';
import type { Database } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { fetchSubscription, type PolarSubscription, readSubscription } from './events.ts';
import { findBillableSubscription } from './find-billable-subscription.ts';
import { findSellableProduct } from './find-sellable-product.ts';
import { resolveProduct } from './resolve-product.ts';

/**
 * Changes the team's plan: upwards at once, with an invoice for the difference; downwards with the next period
 * (both as the catalog's policies say). Asking for the plan that the team has, or will have with the next period
 * already, changes nothing; asking for the one it has takes back a change that waits.
 *
 * @returns the subscription as Polar has it afterwards
 * @throws DomainError 422 `unknown_product`; 503 `product_not_synced`; 409 `no_subscription`,
 *   `subscription_ended` (canceled: resume it first); 402 `payment_failed`, with the plan unchanged; as `callPolar`
 */
export async function changePlan(
  polar: Polar,
  database: Database,
  { teamId, plan: key }: { teamId: string; plan: string },
): Promise<PolarSubscription> {
  const em = database.fork();
  const { product, polarProductId, catalog } = await findSellableProduct(em, key);
  if (product.kind !== 'plan') {
    throw new DomainError(422, 'unknown_product', `${key} is a pack: it is bought, not subscribed to`);
  }
  const current = await currentSubscription(polar, database, teamId);
  const currentKey = await resolveProduct(em, current);
  const pending = current.pendingUpdate?.productId ?? null;
  const pendingKey = pending && (await resolveProduct(em, { productId: pending, productCatalogKey: null }));

  if ((pendingKey ?? currentKey) === key) return current;
  if (currentKey === key) return update(polar, current.id, { pending_update: null }, hasNothingPending);

  const from = catalog.plans.find((plan) => plan.key === currentKey);
  const proration =
    !from || isUpgrade(from, product.plan)
      ? catalog.policies.upgradeProration
      : catalog.policies.downgradeProration;
  return update(
    polar,
    current.id,
    { product_id: polarProductId, proration_behavior: proration },
    (now) => now.productId === polarProductId || now.pendingUpdate?.productId === polarProductId,
  );
}

/**
 * Cancels at the end of the period; what was paid stays until then. Canceled already: nothing changes.
 * @throws DomainError 409 `no_subscription`; those of `callPolar`
 */
export async function cancelSubscription(
  polar: Polar,
  database: Database,
  { teamId }: { teamId: string },
): Promise<PolarSubscription> {
  const current = await currentSubscription(polar, database, teamId);
  if (isCanceled(current)) return current;
  return update(polar, current.id, { cancel_at_period_end: true }, isCanceled);
}

/**
 * Takes a cancellation at the period's end back. Not canceled: nothing changes.
 * @throws DomainError 409 `no_subscription`; 409 `subscription_ended` where the end has come; as `callPolar`
 */
export async function resumeSubscription(
  polar: Polar,
  database: Database,
  { teamId }: { teamId: string },
): Promise<PolarSubscription> {
  const current = await currentSubscription(polar, database, teamId);
  if (hasEnded(current)) {
    throw new DomainError(409, 'subscription_ended', 'The subscription has ended: subscribe again');
  }
  if (!isCanceled(current)) return current;
  return update(polar, current.id, { cancel_at_period_end: false }, (now) => !isCanceled(now));
}

/**
 * Whether `to` gives more credits a month than `from`; at the same rate the longer interval is the upgrade, for it is
 * paid now, and leaving it lets what was paid run out.
 */
export function isUpgrade(from: Plan, to: Plan): boolean {
  const before = from.allotment * BigInt(12 / months[from.interval]);
  const after = to.allotment * BigInt(12 / months[to.interval]);
  return after === before ? months[to.interval] > months[from.interval] : after > before;
}

const months = { month: 1, year: 12 } as const satisfies Record<Plan['interval'], number>;

/** Which subscription it is, our mirror says; what it is like now, Polar does. */
async function currentSubscription(
  polar: Polar,
  database: Database,
  teamId: string,
): Promise<PolarSubscription> {
  const standing = await findBillableSubscription(database.fork(), teamId);
  if (!standing) throw new DomainError(409, 'no_subscription', 'The team has no subscription');
  return fetchSubscription(polar, standing.id);
}

async function update(
  polar: Polar,
  id: string,
  change: models.SubscriptionUpdate,
  isDone: (now: PolarSubscription) => boolean,
): Promise<PolarSubscription> {
  return callPolar(
    'change',
    async () => readSubscription(await polar.subscriptions.update(id, change)),
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
