import { addMonthsAnchored, type Cycle } from '../../catalog/cycle.ts';
import type { BilledLine, PlanTerms } from './cycle-lines.ts';

/** A plan and its terms. */
export interface PlanWithTerms {
  key: string;
  terms: PlanTerms;
}

/** The order that Polar would make now for a change of plan at once. */
export interface ChangeOrder {
  lines: BilledLine[];
  /** The billing period that the change begins; null: the current one goes on. */
  period: Cycle | null;
  /** The sum of its lines in the currency's minor units, before tax and balance; negative if it returns money. */
  amount: bigint;
}

/**
 * Computes the lines of a change at once as Polar does: the unused time of the old plan is credited, the rest of the
 * period is charged, each rounded to the nearest minor unit. Another interval begins a new period now. In a trial
 * nothing was paid, so nothing is credited, and a new period begins.
 * Source: Polar's `subscription/update.py`.
 *
 * @param cycle  the current billing period
 */
export function orderOfChange({
  orderId,
  now,
  cycle,
  from,
  to,
  inTrial,
}: {
  orderId: string;
  now: Date;
  cycle: Cycle;
  from: PlanWithTerms;
  to: PlanWithTerms;
  inTrial: boolean;
}): ChangeOrder {
  const beginsPeriod = inTrial || from.terms.months !== to.terms.months;
  const end = beginsPeriod ? addMonthsAnchored(now, to.terms.months, now.getUTCDate()) : cycle.end;
  const left = shareLeft(cycle, now);
  const credit = inTrial ? 0n : -nearest(from.terms.price * left.part, left.whole);
  const debit = beginsPeriod ? to.terms.price : nearest(to.terms.price * left.part, left.whole);
  const common = { orderId, orderedAt: now, orderPlan: to.key, billsUsage: false, inTrial: false };
  const lines: BilledLine[] = [];
  if (credit < 0n)
    lines.push({
      ...common,
      index: 0,
      amount: credit,
      proration: true,
      plan: from.key,
      period: { start: now, end: cycle.end },
    });
  if (debit > 0n)
    lines.push({
      ...common,
      index: 1,
      amount: debit,
      proration: !inTrial,
      plan: to.key,
      period: { start: now, end },
    });
  return { lines, period: beginsPeriod ? { start: now, end } : null, amount: credit + debit };
}

function shareLeft({ start, end }: Cycle, now: Date): { part: bigint; whole: bigint } {
  return {
    part: BigInt(Math.max(0, end.getTime() - now.getTime())),
    whole: BigInt(end.getTime() - start.getTime()),
  };
}

/** Of a fraction that is not negative. */
function nearest(part: bigint, whole: bigint): bigint {
  return (2n * part + whole) / (2n * whole);
}
