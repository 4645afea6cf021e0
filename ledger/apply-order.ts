import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../catalog/credits.ts';
import { findProduct } from '../catalog/find-product.ts';
import type { PublishedCatalog } from '../catalog/versions.ts';
import { Grant } from '../database/entities/grant.ts';
import { Order } from '../database/entities/order.ts';
import { Subscription } from '../database/entities/subscription.ts';
import { alignCycleExpiries } from './align-cycle-expiries.ts';
import { clawBackOrder } from './claw-back-order.ts';
import { decidePackGrant, decidePlanGrant, type OrderGrant, type PaidOrder } from './decide-order-grant.ts';
import { grantCredits } from './grant-credits.ts';

/** An order of Polar's whose team and product are known to be ours. Money in the currency's minor units. */
export interface OrderFacts extends PaidOrder {
  teamId: string;
  /** The plan's or pack's catalog key. */
  product: string;
  /** Whether Polar says that it is paid (a 100 % discount is). */
  paid: boolean;
  currency: string;
  /** `net_amount + applied_balance_amount`. */
  paidAmount: bigint;
  /** Refunded so far, cumulative, without tax. */
  refundedAmount: bigint;
  /** Polar's time of this state. */
  stateAt: Date;
}

/**
 * Applies an order as it stands: grants what it pays for, once, and brings its clawback to the cumulative target.
 * A refund that is heard of before its order is paid is remembered, and applied with the grant. The same in whatever
 * order its events arrive. The caller holds the team's lock and has read `now` after it.
 *
 * @param mayGrant  whether this is the event that grants (`order.paid`); other events only tell how the order stands
 * @returns what was done, in plain words
 */
export async function applyOrder(
  em: EntityManager,
  facts: OrderFacts,
  { catalog, version }: PublishedCatalog,
  { mayGrant }: { mayGrant: boolean },
  now: Date,
): Promise<string> {
  const order = await rememberOrder(em, facts);
  const done = mayGrant && facts.paid ? await grantFor(em, order, facts, { catalog, version }, now) : [];
  const { revoked, outstanding } = await clawBackOrder(em, order, now);
  if (revoked > 0n) done.push(`${formatCredits(revoked)} credits of it are revoked`);
  if (outstanding > 0n) done.push(`${formatCredits(outstanding)} credits are owed`);
  return `Order ${order.id}: ${done.join('; ') || 'nothing to grant or take back'}`;
}

/** Keeps what is known of the order; an older state never replaces a newer one. */
async function rememberOrder(em: EntityManager, facts: OrderFacts): Promise<Order> {
  const known = await em.findOne(Order, { id: facts.id });
  if (known) {
    if (facts.stateAt >= known.stateAt) {
      known.refundedAmount = facts.refundedAmount;
      known.paidAmount = facts.paidAmount;
      known.stateAt = facts.stateAt;
    }
    return known;
  }
  const order = em.create(Order, {
    id: facts.id,
    teamId: facts.teamId,
    paidAt: null,
    product: facts.product,
    subscriptionId: facts.subscription?.id ?? null,
    currency: facts.currency,
    paidAmount: facts.paidAmount,
    refundedAmount: facts.refundedAmount,
    disputedAmount: 0n,
    periodStart: null,
    periodEnd: null,
    allotment: null,
    dripsMonthly: false,
    catalogVersion: null,
    stateAt: facts.stateAt,
    createdAt: facts.createdAt,
  });
  em.persist(order);
  await em.flush();
  return order;
}

async function grantFor(
  em: EntityManager,
  order: Order,
  facts: OrderFacts,
  { catalog, version }: PublishedCatalog,
  now: Date,
): Promise<string[]> {
  if (order.paidAt) return [];
  const product = findProduct(catalog, facts.product);
  if (!product) throw new Error(`the catalog has no ${facts.product}`);
  order.paidAt = now;
  const decided =
    product.kind === 'pack'
      ? decidePackGrant(facts, product.pack)
      : decidePlanGrant(facts, product.plan, await cycleSoFar(em, facts));
  if (decided.kind === 'nothing') return [`nothing granted, because ${decided.because}`];

  const plan = product.kind === 'plan' ? product.plan : null;
  const cycle = decided.kind === 'purchase' ? null : decided.cycle;
  if (plan && decided.kind === 'allotment') {
    order.periodStart = decided.cycle.start;
    order.periodEnd = decided.cycle.end;
    order.allotment = plan.allotment;
    order.dripsMonthly = decided.dripsMonthly;
    order.catalogVersion = version;
  }
  const { created } = await grantCredits(
    em,
    {
      teamId: facts.teamId,
      source: decided.kind === 'purchase' ? 'purchase' : 'subscription',
      businessKey: decided.businessKey,
      credits: decided.credits,
      effectiveAt: decided.effectiveAt,
      expiresAt: cycle && new Date(cycle.end.getTime() + catalog.policies.renewalGrace),
      catalogVersion: version,
      product: facts.product,
      orderId: facts.id,
      ...(facts.subscription && cycle && plan
        ? { subscriptionId: facts.subscription.id, period: cycle, allotment: plan.allotment }
        : {}),
    },
    now,
  );
  if (facts.subscription) {
    await alignCycleExpiries(
      em,
      { id: facts.subscription.id, teamId: facts.teamId },
      catalog.policies.renewalGrace,
      now,
    );
  }
  return created ? [describe(decided, facts.product)] : [];
}

/** What the order's cycle has granted before, and the anchor day of its subscription. */
async function cycleSoFar(
  em: EntityManager,
  { subscription }: OrderFacts,
): Promise<{ highestGranted: bigint; anchorDay: number }> {
  if (!subscription) return { highestGranted: 0n, anchorDay: 1 };
  const granted = await em.find(Grant, {
    subscriptionId: subscription.id,
    periodStart: subscription.currentPeriodStart,
  });
  const state = await em.findOne(Subscription, { id: subscription.id });
  return {
    highestGranted: granted.reduce(
      (highest, { allotment }) => (allotment && allotment > highest ? allotment : highest),
      0n,
    ),
    anchorDay: state?.anchorDay ?? subscription.currentPeriodStart.getUTCDate(),
  };
}

function describe(decided: Exclude<OrderGrant, { kind: 'nothing' }>, product: string): string {
  const credits = `granted ${formatCredits(decided.credits)} credits`;
  if (decided.kind === 'purchase') return `${credits} for ${product}`;
  if (decided.kind === 'rise') return `${credits} for the change to ${product}`;
  return `${credits} for the cycle of ${product} from ${decided.cycle.start.toISOString().slice(0, 10)}`;
}
