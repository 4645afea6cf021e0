import type { EntityManager } from '@mikro-orm/postgresql';
import { type Cycle, splitAllotment } from '../../catalog/cycle.ts';
import { readClock } from '../../database/connection.ts';
import { Grant } from '../../database/entities/grant.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { readBilling } from '../lifecycle/read-billing.ts';
import type { PlanTerms } from '../rules/cycle-lines.ts';
import { cycleTarget, type Entitlement, entitlementOf, type OrderMoney } from '../rules/entitlement.ts';
import { orderOfChange } from '../rules/preview-change.ts';

/** A change of plan that is not made yet. */
export interface PlannedChange {
  subscriptionId: string;
  /** The current period at Polar. */
  cycle: Cycle;
  /** The keys of both plans. */
  from: string;
  to: string;
  inTrial: boolean;
  /** `nextOrder`: the plan changes now, and the next order bills it, so its credits arrive with that order. */
  billed: 'now' | 'nextOrder' | 'nextCycle';
}

/** The consequences of a change. Money in the currency's minor units before tax, credits in micro-credits. */
export interface PlanChangePreview {
  effectiveAt: Date;
  payment: { amount: bigint; lines: { plan: string; amount: bigint; start: Date; end: Date }[] };
  granted: bigint;
  /** What the change takes back, because its order returns the money of it. */
  taken: bigint;
  /** What is left of the current cycle's credits, and until when it can be spent; null: nothing is left. */
  unused: { credits: bigint; until: Date } | null;
  nextCycle: { at: Date; amount: bigint; credits: bigint };
}

/** The order of a change that is not made yet: no order of Polar has this id. */
const previewOrder = 'preview';

/**
 * Previews a change of plan. The credits are computed by the rules that will apply it, from the stored lines and those of
 * the order that Polar would make.
 * @throws DomainError `unknown_product` if no version of the catalog has one of the plans
 */
export async function previewPlanChange(
  em: EntityManager,
  { subscriptionId, cycle, from, to, inTrial, billed }: PlannedChange,
): Promise<PlanChangePreview> {
  const state = await em.findOne(Subscription, { id: subscriptionId });
  const { billing, orders } = await readBilling(em, subscriptionId, state);
  const now = await readClock(em);
  const oldTerms = billing.termsOf(from, cycle.start);
  const newTerms = billing.termsOf(to, now);
  const unused = await unusedOf(em, subscriptionId, cycle, now);
  const nextCycle = { at: cycle.end, amount: newTerms.price, credits: firstPart(newTerms) };
  if (billed === 'nextCycle') {
    return {
      effectiveAt: cycle.end,
      payment: { amount: 0n, lines: [] },
      granted: 0n,
      taken: 0n,
      unused,
      nextCycle,
    };
  }

  const order = orderOfChange({
    orderId: previewOrder,
    now,
    cycle,
    from: { key: from, terms: oldTerms },
    to: { key: to, terms: newTerms },
    inTrial,
  });
  if (billed === 'nextOrder' && order.period === null) {
    const withChange = { ...nextCycle, amount: nextCycle.amount + order.amount };
    const payment = { amount: 0n, lines: [] };
    return { effectiveAt: now, payment, granted: 0n, taken: 0n, unused, nextCycle: withChange };
  }
  const before = entitlementOf(billing);
  const after = entitlementOf({
    ...billing,
    periods: order.period ? [...billing.periods, order.period] : billing.periods,
    lines: [...billing.lines, ...order.lines],
  });
  const paid = order.amount > 0n ? order.amount : 0n;
  const ordersAfter = new Map(orders).set(previewOrder, { paid, reversed: 0n });
  const end = order.period?.end ?? cycle.end;
  const gained = targetOf(after, ordersAfter, now) - targetOf(before, orders, now);
  // A new period grants its own credits. Within a period only the difference counts.
  const taken = order.period ? takenOf(cycle, before, after, ordersAfter, now) : gained < 0n ? -gained : 0n;
  return {
    effectiveAt: now,
    payment: {
      amount: order.amount,
      lines: order.lines.flatMap(({ plan, amount, period }) =>
        plan === null || period === null ? [] : [{ plan, amount, ...period }],
      ),
    },
    granted: gained + taken,
    taken,
    unused: order.period ? closing(unused, taken, now) : unused,
    nextCycle: { at: end, amount: newTerms.price, credits: firstPart(newTerms) },
  };
}

/** All credits that a subscription is entitled to at this time. */
function targetOf({ cycles }: Entitlement, orders: ReadonlyMap<string, OrderMoney>, now: Date): bigint {
  return cycles.reduce((total, cycle) => total + cycleTarget(cycle, orders, now), 0n);
}

/** What the change takes from the cycle that it closes. */
function takenOf(
  { start }: Cycle,
  before: Entitlement,
  after: Entitlement,
  orders: ReadonlyMap<string, OrderMoney>,
  now: Date,
): bigint {
  const targetIn = ({ cycles }: Entitlement) => {
    const cycle = cycles.find((one) => one.start.getTime() === start.getTime());
    return cycle ? cycleTarget(cycle, orders, now) : 0n;
  };
  return targetIn(before) - targetIn(after);
}

/** A new period closes the old cycle at once: what the change does not take of it expires. */
function closing(unused: PlanChangePreview['unused'], taken: bigint, now: Date): PlanChangePreview['unused'] {
  if (unused === null || unused.credits <= taken) return null;
  return { credits: unused.credits - taken, until: now };
}

async function unusedOf(
  em: EntityManager,
  subscriptionId: string,
  { start }: Cycle,
  now: Date,
): Promise<PlanChangePreview['unused']> {
  const grants = await em.find(Grant, {
    subscriptionId,
    source: 'subscription',
    effectiveAt: { $gte: start },
    available: { $gt: 0n },
    expiresAt: { $gt: now },
  });
  const credits = grants.reduce((total, { available }) => total + available, 0n);
  const ends = grants.flatMap(({ expiresAt }) => (expiresAt ? [expiresAt.getTime()] : []));
  return credits > 0n ? { credits, until: new Date(Math.max(...ends)) } : null;
}

/** The credits at the start of a paid cycle. */
function firstPart({ allotment, dripsMonthly, months }: PlanTerms): bigint {
  const [first] = splitAllotment(allotment, dripsMonthly ? months : 1);
  if (first === undefined) throw new Error('an allotment must have at least one part');
  return first;
}
