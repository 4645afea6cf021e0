import { type Cycle, dripInstants, proratedRise, splitAllotment } from '../catalog/cycle.ts';
import type { Pack, Plan } from '../catalog/schema.ts';

/** A paid order as far as granting goes. */
export interface PaidOrder {
  id: string;
  createdAt: Date;
  /** How many of a pack; 1 for a plan. */
  units: number;
  lines: OrderLine[];
  subscription: OrderSubscription | null;
}

export interface OrderLine {
  /** In the currency's minor units; below zero where it credits unused time. */
  amount: bigint;
  proration: boolean;
  /** The period `[start, end)` that it pays for; null in older payloads and for packs. */
  start: Date | null;
  end: Date | null;
}

export interface OrderSubscription {
  id: string;
  currentPeriodStart: Date;
  currentPeriodEnd: Date;
  trialStart: Date | null;
  trialEnd: Date | null;
  endedAt: Date | null;
}

/** A cycle of the order's subscription that has been granted before. */
export interface GrantedCycle extends Cycle {
  /** The highest allotment that it was granted by, in micro-credits. */
  highest: bigint;
}

/** What a paid order grants. Credits in micro-credits. */
export interface OrderGrant {
  kind: 'purchase' | 'allotment' | 'rise';
  businessKey: string;
  credits: bigint;
  effectiveAt: Date;
  /** The cycle that it expires with; null for lifetime credits. */
  cycle: Cycle | null;
}

/** What a plan's order grants: perhaps nothing, and then why; perhaps not to be said before its cycle is granted. */
export type PlanGrants =
  | { grants: OrderGrant[]; because: string | null }
  | { waitsFor: 'the order of the cycle that it changes' };

/** Credits follow money: what a paid order for a pack grants. */
export function decidePackGrant(order: PaidOrder, pack: Pack): OrderGrant {
  return {
    kind: 'purchase',
    businessKey: `order:${order.id}`,
    credits: pack.credits * BigInt(order.units),
    effectiveAt: order.createdAt,
    cycle: null,
  };
}

/**
 * Credits follow money: what a paid order for a plan grants. A line whose period starts a cycle brings the allotment;
 * proration lines bring the prorated rise above the highest allotment granted in their cycle. The billing reason is not
 * looked at: Polar's final invoice of a cancellation calls itself a renewal.
 *
 * @param granted  the subscription's cycles that have been granted before this order
 * @param anchorDay  day of month on which its cycles start
 */
export function decidePlanGrants(
  order: PaidOrder,
  plan: Plan,
  { granted, anchorDay }: { granted: readonly GrantedCycle[]; anchorDay: number },
): PlanGrants {
  const { subscription } = order;
  if (!subscription) return nothing('the order belongs to no subscription');
  if (subscription.endedAt && subscription.endedAt <= order.createdAt)
    return nothing('it is the final invoice of a subscription that ended');

  const started = startedCycle(order, subscription, granted);
  const change = latestChange(order, started);
  const changed = change && granted.find(({ start, end }) => start <= change && change < end);
  if (change && !changed && !started) return { waitsFor: 'the order of the cycle that it changes' };

  const grants: OrderGrant[] = [];
  if (started && !startsInTrial(started, subscription))
    grants.push(allotmentOf(subscription.id, plan, started, anchorDay));
  if (change && changed) {
    const credits = proratedRise({
      highestGranted: changed.highest,
      newAllotment: plan.allotment,
      cycle: changed,
      at: change,
    });
    // Paid with the next renewal (Polar's `prorate`), it lives as long as what was paid along with it.
    if (credits > 0n)
      grants.push({
        kind: 'rise',
        businessKey: `order:${order.id}`,
        credits,
        effectiveAt: change,
        cycle: started ?? { start: changed.start, end: changed.end },
      });
  }
  if (grants.length > 0) return { grants, because: null };
  if (started) return nothing('its period begins inside a Polar trial');
  return nothing(
    change
      ? 'the allotment does not rise above what this cycle has already granted'
      : 'none of its lines starts a cycle',
  );
}

/** One allotment, or one drip of it, for each subscription and start. */
export function allotmentKey(subscriptionId: string, start: Date): string {
  return `allotment:${subscriptionId}:${start.toISOString()}`;
}

function nothing(because: string): PlanGrants {
  return { grants: [], because };
}

/** A yearly plan that drips is granted its first part now; `grantDueDrips` grants the others. */
function allotmentOf(subscriptionId: string, plan: Plan, cycle: Cycle, anchorDay: number): OrderGrant {
  const parts = plan.rhythm === 'monthly' ? dripInstants(cycle, anchorDay).length : 1;
  return {
    kind: 'allotment',
    businessKey: allotmentKey(subscriptionId, cycle.start),
    credits: splitAllotment(plan.allotment, parts)[0] ?? 0n,
    effectiveAt: cycle.start,
    cycle,
  };
}

/**
 * The cycle that the order begins: that of its non-proration line, whose period newer payloads name and which else is
 * the subscription's. Where a change of interval or `reset` began a new period, Polar marks its full-price line as a
 * proration: it pays for just the subscription's period, and nothing was granted for that before.
 */
function startedCycle(
  { lines }: PaidOrder,
  { currentPeriodStart, currentPeriodEnd }: OrderSubscription,
  granted: readonly GrantedCycle[],
): Cycle | null {
  const whole = lines.find((line) => !line.proration);
  if (whole?.start && whole.end && whole.start < whole.end) return { start: whole.start, end: whole.end };
  const current = { start: currentPeriodStart, end: currentPeriodEnd };
  if (whole) return current;
  const covers = ({ amount, start, end }: OrderLine) =>
    amount > 0n &&
    start?.getTime() === currentPeriodStart.getTime() &&
    end?.getTime() === currentPeriodEnd.getTime();
  const known = granted.some(({ start }) => start.getTime() === currentPeriodStart.getTime());
  return !known && lines.some(covers) ? current : null;
}

/** When the order's plan was changed in the middle of a cycle: the latest such instant among its proration lines. */
function latestChange({ lines, createdAt }: PaidOrder, started: Cycle | null): Date | null {
  const changes = lines
    .filter(({ proration, amount }) => proration && amount > 0n)
    .map(({ start }) => start ?? createdAt)
    .filter((start) => start.getTime() !== started?.start.getTime())
    .sort((a, b) => b.getTime() - a.getTime());
  return changes[0] ?? null;
}

function startsInTrial(cycle: Cycle, { trialStart, trialEnd }: OrderSubscription): boolean {
  return trialEnd !== null && cycle.start < trialEnd && (trialStart === null || cycle.start >= trialStart);
}
