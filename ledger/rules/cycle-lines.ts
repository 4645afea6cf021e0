import type { Cycle } from '../../catalog/cycle.ts';

/** A line of a paid order of a subscription, as it is stored. */
export interface BilledLine {
  orderId: string;
  /** Its place among the order's lines. */
  index: number;
  orderedAt: Date;
  /** The plan that the order names: the one that the subscription is on after it. */
  orderPlan: string;
  /** Whether the order bills usage (`subscription_meter_cycle`): such an order begins no cycle. */
  billsUsage: boolean;
  /** Of the line, after its own discount, in the currency's minor units; below zero where it returns money. */
  amount: bigint;
  proration: boolean;
  /** The plan of the line's price; null where the price is not known. */
  plan: string | null;
  /** The period `[start, end)` that it is for; null in payloads made before September 2026. */
  period: Cycle | null;
  /** Whether it is the free line of a trial at Polar. */
  inTrial: boolean;
}

/** What a plan promises at one instant. */
export interface PlanTerms {
  /** Micro-credits of one whole cycle. */
  allotment: bigint;
  dripsMonthly: boolean;
  months: 1 | 12;
  /** In the currency's minor units. */
  price: bigint;
  catalogVersion: number;
}

/** All that is stored about the billing of one subscription. */
export interface SubscriptionBilling {
  id: string;
  startedAt: Date | null;
  endedAt: Date | null;
  /** Every billing period that Polar has stated, with the newest end. Starts are unique. */
  periods: readonly Cycle[];
  lines: readonly BilledLine[];
  /** What a plan promised at an instant. */
  termsOf(plan: string, at: Date): PlanTerms;
}

/** A line that was placed: which plan, in which cycle, for which share of it. */
export interface PaidLine {
  orderId: string;
  /** `start` begins the cycle, `debit` is a change to the plan, `credit` a change away from it. */
  direction: 'start' | 'debit' | 'credit';
  plan: string;
  terms: PlanTerms;
  start: Date;
  end: Date;
  /** The part of a whole cycle that it is for, as a fraction. */
  share: { part: bigint; whole: bigint };
}

/** A cycle and the lines that belong to it, in the order of their start. */
export interface CycleLines extends Cycle {
  /** Whether a line starts it. */
  paid: boolean;
  lines: PaidLine[];
}

interface Placing {
  cycles: CycleLines[];
  unplaced: Map<string, { code: 'cycle_unknown' | 'no_credits'; reason: string }>;
}

/** How far the length of a period may be from its plan's interval: months differ, and Polar's clock is not ours. */
const intervalTolerance = 4 * 86_400_000;
/** An order is made within this after the change that it bills. */
const orderDelay = 60_000;
const averageMonth = (146_097 / 4_800) * 86_400_000;

/**
 * Puts each line into the cycle that it is for. Only a line whose period is a billing period of the subscription starts one,
 * and each cycle is started once: by the plan's regular line, else (a change of interval, `reset`) by the line of the change.
 */
export function cyclesOf(billing: SubscriptionBilling): Placing {
  const unplaced: Placing['unplaced'] = new Map();
  const periods = billing.periods.toSorted(byStart);
  const lines = billing.lines.toSorted(byOrder).map((line) => withPeriod(line, billing, periods));
  const starts = startingLines(lines, billing, periods);

  const cycles = new Map<number, CycleLines>();
  for (const { start, end } of periods) cycles.set(start.getTime(), { start, end, paid: false, lines: [] });
  for (const [at, { line, period }] of starts) {
    const { end } = cycles.get(at) ?? period;
    const terms = billing.termsOf(line.orderPlan, period.start);
    const { start, end: lineEnd } = period;
    const share = { part: 1n, whole: 1n };
    const placed = { direction: 'start' as const, plan: line.orderPlan, terms, start, end: lineEnd, share };
    cycles.set(at, { start, end, paid: true, lines: [{ orderId: line.orderId, ...placed }] });
  }
  const inOrder = [...cycles.values()].sort(byStart);

  const starting = new Set([...starts.values()].map(({ line }) => line));
  const closing = new Set([...starting].filter((line) => line.proration).map((line) => line.orderId));
  for (const changes of changesByCycle(lines, starting, closing, inOrder, unplaced)) {
    placeChanges(changes, closing, billing, unplaced);
  }
  for (const orderId of ordersWithoutCredits(lines, starting, unplaced, billing.endedAt)) {
    unplaced.set(orderId, { code: 'no_credits', reason: 'none of its lines is for a cycle of a plan' });
  }
  for (const cycle of inOrder) {
    cycle.lines = cycle.lines.filter(({ orderId }) => !unplaced.has(orderId) || isStart(orderId, starts));
  }
  return { cycles: inOrder, unplaced };
}

/** A line with the period that it is for; the reason where that cannot be told. */
interface PeriodLine {
  line: BilledLine;
  period: Cycle | null;
  /** Its period begins with the change that its order bills. */
  beginsPeriod: boolean;
  /** It is for an earlier cycle than the one that its order renews: its share is told by its amount. */
  byAmount: boolean;
}

/** A line without a period takes the one in which its order was made, never one that begins after it. */
function withPeriod(line: BilledLine, billing: SubscriptionBilling, periods: readonly Cycle[]): PeriodLine {
  if (line.period) {
    // A regular line states its billing period, though perhaps read from another clock.
    const stated = line.period;
    const known = periods.some(({ start }) => start.getTime() === stated.start.getTime());
    const close = periods.find(({ start }) => isClose(start, stated.start));
    const period = close && !known && !line.proration ? { start: close.start, end: stated.end } : stated;
    return { line, period, beginsPeriod: false, byAmount: false };
  }
  const current = periods.findLast(({ start, end }) => start <= line.orderedAt && line.orderedAt < end);
  if (!current) return { line, period: null, beginsPeriod: false, byAmount: false };
  if (!line.proration) return { line, period: current, beginsPeriod: false, byAmount: false };

  const ofOrder = billing.lines.filter(({ orderId }) => orderId === line.orderId);
  const previous = periods.findLast(({ start }) => start < current.start);
  if (ofOrder.some(({ proration }) => !proration)) {
    return { line, period: previous ?? null, beginsPeriod: false, byAmount: true };
  }
  const begins = beginsPeriod(line, ofOrder, billing, current, previous);
  if (begins === null) return { line, period: null, beginsPeriod: false, byAmount: false };
  if (!begins) {
    return {
      line,
      period: { start: line.orderedAt, end: current.end },
      beginsPeriod: false,
      byAmount: false,
    };
  }
  if (!returnsMoney(line)) return { line, period: current, beginsPeriod: true, byAmount: false };
  const rest = previous && current.start < previous.end ? { start: current.start, end: previous.end } : null;
  return { line, period: rest, beginsPeriod: false, byAmount: false };
}

/** Whether the order's change began the period in which it was made; null where that cannot be told. */
function beginsPeriod(
  { orderId, orderedAt, orderPlan }: BilledLine,
  ofOrder: readonly BilledLine[],
  { lines, termsOf }: SubscriptionBilling,
  current: Cycle,
  previous: Cycle | undefined,
): boolean | null {
  const made = (line: BilledLine) => current.start <= line.orderedAt && line.orderedAt < current.end;
  const regular = lines.some((line) => made(line) && !line.proration && !line.billsUsage);
  const earlier = lines.some((line) => made(line) && line.orderedAt < orderedAt && line.orderId !== orderId);
  if (regular || earlier) return false;
  const months = (plan: string) => termsOf(plan, orderedAt).months;
  const otherInterval = ofOrder.some(({ plan }) => plan !== null && months(plan) !== months(orderPlan));
  if (otherInterval || (previous && current.start < previous.end)) return true;
  return orderedAt.getTime() - current.start.getTime() < orderDelay ? null : false;
}

/** The line that starts each cycle, by the instant. */
function startingLines(
  lines: readonly PeriodLine[],
  billing: SubscriptionBilling,
  periods: readonly Cycle[],
): Map<number, { line: BilledLine; period: Cycle }> {
  const starts = new Map<number, { line: BilledLine; period: Cycle }>();
  const candidates = lines.flatMap(({ line, period, beginsPeriod: begins, byAmount }) =>
    period && !byAmount && mayStart(line, period, begins, lines, billing, periods) ? [{ line, period }] : [],
  );
  for (const one of [
    ...candidates.filter(({ line }) => !line.proration),
    ...candidates.filter(({ line }) => line.proration),
  ]) {
    const at = one.period.start.getTime();
    const startsAlready = [...starts.values()].some(
      ({ line }) => line.orderId === one.line.orderId && !line.proration,
    );
    if (!starts.has(at) && !(one.line.proration && startsAlready)) starts.set(at, one);
  }
  return starts;
}

function mayStart(
  line: BilledLine,
  period: Cycle,
  begins: boolean,
  lines: readonly PeriodLine[],
  { endedAt, termsOf }: SubscriptionBilling,
  periods: readonly Cycle[],
): boolean {
  if (line.billsUsage || line.inTrial || line.amount < 0n || line.orderedAt >= period.end) return false;
  // The final invoice of a subscription that ended.
  if (endedAt && (endedAt <= period.start || endedAt <= line.orderedAt)) return false;
  if (line.plan !== null && line.plan !== line.orderPlan) return false;
  if (begins) return true;
  const known = periods.find(({ start }) => start.getTime() === period.start.getTime());
  const expected = termsOf(line.orderPlan, period.start).months * averageMonth;
  const whole = Math.abs(lengthOf(period) - expected) <= intervalTolerance;
  if (line.proration) {
    const others = lines.filter((other) => other.line !== line && other.line.orderId === line.orderId);
    // The two lines of a change in mid-cycle are for the same rest of it.
    if (others.some((other) => other.line.proration && isSame(other.period, period))) return false;
    if (known) return isSame(known, period) || whole;
    return whole && line.orderedAt.getTime() - period.start.getTime() < orderDelay;
  }
  if (known) return isSame(known, period) || whole;
  const inside = periods.some(({ start, end }) => start < period.start && period.start < end);
  return whole && !inside;
}

interface CycleChanges {
  cycle: CycleLines;
  changes: (PeriodLine & { period: Cycle })[];
}

function changesByCycle(
  lines: readonly PeriodLine[],
  starting: ReadonlySet<BilledLine>,
  closing: ReadonlySet<string>,
  cycles: readonly CycleLines[],
  unplaced: Placing['unplaced'],
): CycleChanges[] {
  const byCycle = new Map<CycleLines, CycleChanges['changes']>();
  for (const one of lines) {
    const { line, period } = one;
    if (starting.has(line) || line.inTrial || (!line.proration && period)) continue;
    const closes = closing.has(line.orderId);
    const cycle = period && cycleFor(one, period, closes, cycles);
    if (!period || !cycle) {
      unplaced.set(line.orderId, {
        code: 'cycle_unknown',
        reason: `no billing period of the subscription is known that the line of ${line.orderedAt.toISOString()} is for`,
      });
      continue;
    }
    byCycle.set(cycle, [...(byCycle.get(cycle) ?? []), { ...one, period }]);
  }
  return [...byCycle].map(([cycle, changes]) => ({ cycle, changes }));
}

/** The cycle that a change is in: what returns money at the beginning of a new period is for the period before it. */
function cycleFor(
  { line, byAmount }: PeriodLine,
  period: Cycle,
  closes: boolean,
  cycles: readonly CycleLines[],
): CycleLines | undefined {
  if (byAmount) return cycles.find(({ start }) => start.getTime() === period.start.getTime());
  const sameEnd = cycles.findLast(
    ({ start, end }) =>
      (closes ? start < period.start : start <= period.start) && end.getTime() === period.end.getTime(),
  );
  if (sameEnd) return sameEnd;
  if (closes || returnsMoney(line)) return cycles.findLast(({ start }) => start < period.start);
  return cycles.findLast(({ start, end }) => start <= period.start && period.start < end);
}

/**
 * Tells debit from credit by the plan that the cycle is on: a line of 0 has no sign. An order that begins a new period by a
 * change only returns what is left of the old one, as the last that happens in it.
 *
 * @param closing  the orders that begin a new period by a change
 */
function placeChanges(
  { cycle, changes }: CycleChanges,
  closing: ReadonlySet<string>,
  billing: SubscriptionBilling,
  unplaced: Placing['unplaced'],
): void {
  let current = cycle.lines.find(({ direction }) => direction === 'start')?.plan ?? null;
  const groups = Map.groupBy(
    changes.toSorted(
      (a, b) =>
        a.period.start.getTime() - b.period.start.getTime() ||
        Number(closing.has(a.line.orderId)) - Number(closing.has(b.line.orderId)) ||
        byOrder(a.line, b.line),
    ),
    ({ line, period }) => `${period.start.getTime()} ${line.orderId}`,
  );
  const lastOf = new Map([...groups.values()].map((group) => [group[0]?.line.orderId, group]));
  for (const group of groups.values()) {
    const orderId = group[0]?.line.orderId;
    const isLast = lastOf.get(orderId) === group;
    const credits: typeof group = [];
    const debits: typeof group = [];
    for (const one of group) {
      const { amount, plan } = one.line;
      const away =
        amount < 0n ||
        (amount === 0n && closing.has(one.line.orderId)) ||
        (amount === 0n &&
          (plan === null
            ? credits.length === 0 && group.length > 1
            : current === null
              ? isLast && group.length > 1 && plan !== one.line.orderPlan // the payment of the cycle is not known yet
              : plan === current));
      (away && !(amount === 0n && credits.length > 0) ? credits : debits).push(one);
    }
    for (const one of credits) {
      place(one, 'credit', one.line.plan ?? current);
    }
    for (const one of debits) {
      const plan = one.line.plan ?? (isLast && debits.length === 1 ? one.line.orderPlan : null);
      place(one, 'debit', plan);
      if (plan !== null) current = plan;
    }
  }

  function place(
    { line, period, byAmount }: CycleChanges['changes'][number],
    direction: 'debit' | 'credit',
    plan: string | null,
  ) {
    if (plan === null) {
      unplaced.set(line.orderId, {
        code: 'cycle_unknown',
        reason: `the plan that the cycle of ${cycle.start.toISOString()} was on before it is not known`,
      });
      return;
    }
    const start = byAmount ? cycle.start : period.start;
    const brought = cycle.lines.findLast((other) => other.plan === plan && other.direction !== 'credit');
    const terms =
      direction === 'credit'
        ? (brought?.terms ?? billing.termsOf(plan, cycle.start))
        : billing.termsOf(plan, start);
    const whole = BigInt(Math.max(1, period.end.getTime() - cycle.start.getTime()));
    const left = BigInt(Math.max(0, period.end.getTime() - start.getTime()));
    const amount = line.amount < 0n ? -line.amount : line.amount;
    const share = byAmount
      ? { part: amount < terms.price ? amount : terms.price, whole: terms.price }
      : { part: left < whole ? left : whole, whole };
    cycle.lines.push({ orderId: line.orderId, direction, plan, terms, start, end: period.end, share });
  }
}

/** Orders with money none of whose lines is for a cycle: nobody can tell what they bought. */
function ordersWithoutCredits(
  lines: readonly PeriodLine[],
  starting: ReadonlySet<BilledLine>,
  unplaced: Placing['unplaced'],
  endedAt: Date | null,
): string[] {
  const orders = Map.groupBy(lines, ({ line }) => line.orderId);
  return [...orders].flatMap(([orderId, ofOrder]) => {
    const placed = ofOrder.some(({ line }) => starting.has(line) || line.proration || line.inTrial);
    const money = ofOrder.some(({ line }) => line.amount !== 0n);
    const final = ofOrder.some(({ line }) => endedAt !== null && endedAt <= line.orderedAt);
    return placed || final || !money || unplaced.has(orderId) ? [] : [orderId];
  });
}

function isStart(orderId: string, starts: Map<number, { line: BilledLine }>): boolean {
  return [...starts.values()].some(({ line }) => line.orderId === orderId);
}

function returnsMoney({ amount, plan, orderPlan }: BilledLine): boolean {
  return amount < 0n || (amount === 0n && plan !== null && plan !== orderPlan);
}

function isClose(a: Date, b: Date): boolean {
  return Math.abs(a.getTime() - b.getTime()) < orderDelay;
}

function isSame(a: Cycle | null, b: Cycle): boolean {
  return a?.start.getTime() === b.start.getTime() && a.end.getTime() === b.end.getTime();
}

function lengthOf({ start, end }: Cycle): number {
  return end.getTime() - start.getTime();
}

function byStart(a: Cycle, b: Cycle): number {
  return a.start.getTime() - b.start.getTime();
}

function byOrder(a: BilledLine, b: BilledLine): number {
  return (
    a.orderedAt.getTime() - b.orderedAt.getTime() ||
    (a.orderId < b.orderId ? -1 : a.orderId > b.orderId ? 1 : a.index - b.index)
  );
}
