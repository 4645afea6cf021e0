import { type Cycle, dripInstants, proratedRise, splitAllotment } from '../../catalog/cycle.ts';
import type { Pack, Plan } from '../../catalog/schema.ts';

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
  const changed = change && cycleAt(change, granted);
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
 * proration: it pays for a period of its own, not for the rest of one. The subscription may have moved on since the
 * order was paid: that its period of now is another says nothing.
 */
function startedCycle(
  { lines }: PaidOrder,
  { currentPeriodStart, currentPeriodEnd }: OrderSubscription,
  granted: readonly GrantedCycle[],
): Cycle | null {
  const current = { start: currentPeriodStart, end: currentPeriodEnd };
  const whole = lines.find(({ proration }) => !proration);
  if (whole) return periodOf(whole) ?? current;
  const isRest = ({ start, end }: Cycle) =>
    lines.some((line) => line.amount <= 0n && isSamePeriod(periodOf(line), { start, end })) ||
    granted.some((cycle) => cycle.start <= start && cycle.end.getTime() === end.getTime()) ||
    (current.start < start && current.end.getTime() === end.getTime());
  const paidFor = lines.filter(({ amount }) => amount > 0n).map(periodOf);
  return paidFor.find((period) => period !== null && !isRest(period)) ?? null;
}

function periodOf({ start, end }: OrderLine): Cycle | null {
  return start && end && start < end ? { start, end } : null;
}

function isSamePeriod(a: Cycle | null, b: Cycle): boolean {
  return a?.start.getTime() === b.start.getTime() && a.end.getTime() === b.end.getTime();
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

/** A period that was cut short by the next one overlaps it: the later one counts. */
function cycleAt(at: Date, granted: readonly GrantedCycle[]): GrantedCycle | undefined {
  return granted
    .filter(({ start, end }) => start <= at && at < end)
    .sort((a, b) => a.start.getTime() - b.start.getTime())
    .at(-1);
}

function startsInTrial(cycle: Cycle, { trialStart, trialEnd }: OrderSubscription): boolean {
  return trialEnd !== null && cycle.start < trialEnd && (trialStart === null || cycle.start >= trialStart);
}
