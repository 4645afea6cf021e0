import { type Cycle, dripInstants, proratedRise, splitAllotment } from '../catalog/cycle.ts';
import type { Pack, Plan } from '../catalog/schema.ts';

/** A paid order as far as granting goes. */
export interface PaidOrder {
  id: string;
  createdAt: Date;
  /** How many of a pack; 1 for a plan. */
  units: number;
  lines: { proration: boolean; start: Date | null; end: Date | null }[];
  subscription: {
    id: string;
    currentPeriodStart: Date;
    currentPeriodEnd: Date;
    trialStart: Date | null;
    trialEnd: Date | null;
  } | null;
}

/** What a paid order grants. Credits in micro-credits. */
export type OrderGrant =
  | { kind: 'purchase'; businessKey: string; credits: bigint; effectiveAt: Date }
  | {
      kind: 'allotment';
      businessKey: string;
      credits: bigint;
      cycle: Cycle;
      dripsMonthly: boolean;
      effectiveAt: Date;
    }
  | { kind: 'rise'; businessKey: string; credits: bigint; cycle: Cycle; effectiveAt: Date }
  | { kind: 'nothing'; because: string };

/** Credits follow money: what a paid order for a pack grants. */
export function decidePackGrant(order: PaidOrder, pack: Pack): OrderGrant {
  return {
    kind: 'purchase',
    businessKey: `order:${order.id}`,
    credits: pack.credits * BigInt(order.units),
    effectiveAt: order.createdAt,
  };
}

/**
 * Credits follow money: what a paid order for a plan grants. Only a non-proration line whose period starts the cycle
 * brings an allotment; proration lines bring the prorated rise above the highest allotment granted in the cycle. The
 * billing reason is not looked at: Polar's final invoice of a cancellation calls itself a renewal.
 *
 * @param highestGranted  the highest allotment already granted in the order's cycle; 0 where there is none
 * @param anchorDay  day of month on which the subscription's cycles start
 */
export function decidePlanGrant(
  order: PaidOrder,
  plan: Plan,
  { highestGranted, anchorDay }: { highestGranted: bigint; anchorDay: number },
): OrderGrant {
  const { subscription } = order;
  if (!subscription) return { kind: 'nothing', because: 'the order belongs to no subscription' };

  const cycle = startedCycle(order);
  if (cycle) {
    if (startsInTrial(cycle, subscription))
      return { kind: 'nothing', because: 'its period begins inside a Polar trial' };
    const dripsMonthly = plan.rhythm === 'monthly';
    const drips = dripsMonthly
      ? splitAllotment(plan.allotment, dripInstants(cycle, anchorDay).length)
      : [plan.allotment];
    return {
      kind: 'allotment',
      businessKey: allotmentKey(subscription.id, cycle.start),
      credits: drips[0] ?? 0n,
      cycle,
      dripsMonthly,
      effectiveAt: cycle.start,
    };
  }

  const proration = order.lines.find((line) => line.proration);
  if (!proration) return { kind: 'nothing', because: 'none of its lines starts a cycle' };
  const current = { start: subscription.currentPeriodStart, end: subscription.currentPeriodEnd };
  const at = proration.start && proration.start >= current.start ? proration.start : order.createdAt;
  const credits = proratedRise({ highestGranted, newAllotment: plan.allotment, cycle: current, at });
  if (credits === 0n)
    return {
      kind: 'nothing',
      because: 'the allotment does not rise above what this cycle has already granted',
    };
  return { kind: 'rise', businessKey: `order:${order.id}`, credits, cycle: current, effectiveAt: at };
}

/** One allotment, or one drip of it, for each subscription and start. */
export function allotmentKey(subscriptionId: string, start: Date): string {
  return `allotment:${subscriptionId}:${start.toISOString()}`;
}

/** The cycle that the order pays for: that of its non-proration line, which newer payloads name, else the subscription's. */
function startedCycle({ lines, subscription }: PaidOrder): Cycle | null {
  const line = lines.find((candidate) => !candidate.proration);
  if (!line || !subscription) return null;
  if (line.start && line.end && line.start < line.end) return { start: line.start, end: line.end };
  return { start: subscription.currentPeriodStart, end: subscription.currentPeriodEnd };
}

function startsInTrial(
  cycle: Cycle,
  { trialStart, trialEnd }: NonNullable<PaidOrder['subscription']>,
): boolean {
  return trialEnd !== null && cycle.start < trialEnd && (trialStart === null || cycle.start >= trialStart);
}
