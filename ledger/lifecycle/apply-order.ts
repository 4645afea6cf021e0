import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../../catalog/credits.ts';
import { findProduct } from '../../catalog/find-product.ts';
import type { Plan } from '../../catalog/schema.ts';
import type { PublishedCatalog } from '../../catalog/versions.ts';
import { Grant } from '../../database/entities/grant.ts';
import { Order } from '../../database/entities/order.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { DomainError } from '../../domain-error.ts';
import {
  decidePackGrant,
  decidePlanGrants,
  type GrantedCycle,
  type OrderGrant,
  type PaidOrder,
} from '../rules/decide-order-grants.ts';
import { alignCycleExpiries } from './align-cycle-expiries.ts';
import { clawBackOrder } from './claw-back-order.ts';
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
  /** In open or lost disputes and not already refunded, where that was asked for. */
  disputedAmount?: bigint;
  /** When Polar said that it was paid. */
  paidAt: Date;
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
 * @throws DomainError 409 `cycle_not_granted`, before anything is granted: the payment of the cycle that the order
 *   prorates is still to be heard of
 */
export async function applyOrder(
  em: EntityManager,
  facts: OrderFacts,
  published: PublishedCatalog,
  { mayGrant }: { mayGrant: boolean },
  now: Date,
): Promise<string> {
  const { order, unpaidBefore } = await rememberOrder(em, facts);
  const done = mayGrant && facts.paid ? await grantFor(em, order, facts, published, now) : [];
  if (unpaidBefore || isUnpaid(order)) {
    const { revoked, outstanding } = await clawBackOrder(em, order, now);
    if (revoked > 0n) done.push(`${formatCredits(revoked)} credits of it are revoked`);
    if (outstanding > 0n) done.push(`${formatCredits(outstanding)} credits are owed`);
  }
  return `Order ${order.id}: ${done.join('; ') || 'nothing to grant or take back'}`;
}

/** Keeps what is known of the order; an older state never replaces a newer one. */
async function rememberOrder(
  em: EntityManager,
  facts: OrderFacts,
): Promise<{ order: Order; unpaidBefore: boolean }> {
  const known = await em.findOne(Order, { id: facts.id });
  if (known) {
    const unpaidBefore = isUnpaid(known);
    if (facts.stateAt >= known.stateAt) {
      known.refundedAmount = facts.refundedAmount;
      known.paidAmount = facts.paidAmount;
      known.stateAt = facts.stateAt;
    }
    if (facts.disputedAmount !== undefined) known.disputedAmount = facts.disputedAmount;
    return { order: known, unpaidBefore };
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
    disputedAmount: facts.disputedAmount ?? 0n,
    periodStart: null,
    periodEnd: null,
    allotment: null,
    dripsMonthly: false,
    catalogVersion: null,
    stateAt: facts.stateAt,
    createdAt: facts.createdAt,
  });
  em.persist(order);
  return { order, unpaidBefore: false };
}

/** Whether some of what was paid was refunded or is disputed. */
function isUnpaid({ refundedAmount, disputedAmount }: Order): boolean {
  return refundedAmount + disputedAmount > 0n;
}

/** Grants what the order pays for, once; says what, in plain words. */
async function grantFor(
  em: EntityManager,
  order: Order,
  facts: OrderFacts,
  published: PublishedCatalog,
  now: Date,
): Promise<string[]> {
  if (order.paidAt) return [];
  const product = findProduct(published.catalog, facts.product);
  if (!product) throw new Error(`the catalog has no ${facts.product}`);
  const decided =
    product.kind === 'pack'
      ? { grants: [decidePackGrant(facts, product.pack)], because: null }
      : decidePlanGrants(facts, product.plan, await cyclesSoFar(em, facts));
  if ('waitsFor' in decided) {
    throw new DomainError(409, 'cycle_not_granted', `Order ${order.id} waits for ${decided.waitsFor}`);
  }
  order.paidAt = now;
  const plan = product.kind === 'plan' ? product.plan : null;
  for (const grant of decided.grants) await grantOne(em, order, facts, grant, plan, published, now);
  if (facts.subscription) {
    const subscription = { id: facts.subscription.id, teamId: facts.teamId };
    await alignCycleExpiries(em, subscription, published.catalog.policies.renewalGrace, now);
  }
  if (decided.because) return [`nothing granted, because ${decided.because}`];
  return decided.grants.map((grant) => describe(grant, facts.product));
}

async function grantOne(
  em: EntityManager,
  order: Order,
  facts: OrderFacts,
  { kind, businessKey, credits, effectiveAt, cycle }: OrderGrant,
  plan: Plan | null,
  { catalog: { policies }, version }: PublishedCatalog,
  now: Date,
): Promise<void> {
  if (kind === 'allotment' && cycle && plan) {
    order.periodStart = cycle.start;
    order.periodEnd = cycle.end;
    order.allotment = plan.allotment;
    order.dripsMonthly = plan.rhythm === 'monthly';
    order.catalogVersion = version;
  }
  const end = cycle && new Date(cycle.end.getTime() + policies.renewalGrace);
  // Polar told us in time and we came too late: that delay is ours, not the team's.
  const late = cycle !== null && cycle.end <= now && facts.paidAt < cycle.end;
  await grantCredits(
    em,
    {
      teamId: facts.teamId,
      source: kind === 'purchase' ? 'purchase' : 'subscription',
      businessKey,
      credits,
      effectiveAt,
      expiresAt: end,
      catalogVersion: version,
      product: facts.product,
      orderId: facts.id,
      ...(facts.subscription && cycle && plan
        ? { subscriptionId: facts.subscription.id, period: cycle, allotment: plan.allotment }
        : {}),
      ...(late ? { livesUntil: new Date(now.getTime() + policies.lateAllotmentLife) } : {}),
    },
    now,
  );
}

/** Which cycles of the order's subscription have been granted before, and the anchor day on which they start. */
async function cyclesSoFar(
  em: EntityManager,
  { subscription }: OrderFacts,
): Promise<{ granted: GrantedCycle[]; anchorDay: number }> {
  if (!subscription) return { granted: [], anchorDay: 1 };
  const cycles = new Map<number, GrantedCycle>();
  for (const { periodStart, periodEnd, allotment } of await em.find(Grant, {
    subscriptionId: subscription.id,
  })) {
    if (!periodStart || !periodEnd || allotment === null) continue;
    const known = cycles.get(periodStart.getTime());
    const highest = known && known.highest > allotment ? known.highest : allotment;
    cycles.set(periodStart.getTime(), { start: periodStart, end: periodEnd, highest });
  }
  const state = await em.findOne(Subscription, { id: subscription.id });
  return {
    granted: [...cycles.values()],
    anchorDay: state?.anchorDay ?? subscription.currentPeriodStart.getUTCDate(),
  };
}

function describe({ kind, credits, cycle }: OrderGrant, product: string): string {
  const granted = `granted ${formatCredits(credits)} credits`;
  if (kind === 'purchase' || !cycle) return `${granted} for ${product}`;
  if (kind === 'rise') return `${granted} for the change to ${product}`;
  return `${granted} for the cycle of ${product} from ${cycle.start.toISOString().slice(0, 10)}`;
}
