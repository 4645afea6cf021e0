import type { Cycle } from '../../catalog/cycle.ts';

/** A stored line of a paid order of a subscription. */
export interface BilledLine {
  orderId: string;
  /** Its position in the order. */
  index: number;
  orderedAt: Date;
  /** The plan of the order: the subscription's plan after it. */
  orderPlan: string;
  /** Whether the order bills metered usage (`subscription_meter_cycle`): such an order begins no cycle. */
  billsUsage: boolean;
  /** The line's amount after its own discount, in the currency's minor units; negative if it returns money. */
  amount: bigint;
  proration: boolean;
  /** The plan of the line's price; null if the price is not known. */
  plan: string | null;
  /** The period `[start, end)` that it pays for; null in payloads from before September 2026. */
  period: Cycle | null;
  /** Whether it is the free line of a trial at Polar. */
  inTrial: boolean;
}

/** A plan's terms at one instant. */
export interface PlanTerms {
  /** Micro-credits of one complete cycle. */
  allotment: bigint;
  dripsMonthly: boolean;
  months: 1 | 12;
  /** In the currency's minor units. */
  price: bigint;
  catalogVersion: number;
}

/** All stored billing data of one subscription. */
export interface SubscriptionBilling {
  id: string;
  startedAt: Date | null;
  endedAt: Date | null;
  /** Every billing period that Polar has reported, with its newest end. Starts are unique. */
  periods: readonly Cycle[];
  lines: readonly BilledLine[];
  /** The terms of a plan at an instant. */
  termsOf(plan: string, at: Date): PlanTerms;
}

/** A line whose cycle is known: its plan, its cycle and its share of the cycle. */
export interface PaidLine {
  orderId: string;
  /** `start` begins the cycle, `debit` is a change to the plan, `credit` a change away from it. */
  direction: 'start' | 'debit' | 'credit';
  plan: string;
  terms: PlanTerms;
  start: Date;
  end: Date;
  /** The share of the complete cycle that it pays for, as a fraction. */
  share: { part: bigint; whole: bigint };
}

/** A cycle and its lines, in the order of their start. */
export interface CycleLines extends Cycle {
  /** Whether a line starts it. */
  paid: boolean;
  lines: PaidLine[];
}

interface Placing {
  cycles: CycleLines[];
  unplaced: Map<string, { code: 'cycle_unknown' | 'no_credits'; reason: string }>;
}

/**
 * How much the length of a period may differ from its plan's interval: months differ, and Polar's clock differs from
 * ours.
 */
const intervalToleranceMs = 4 * 86_400_000;
/** An order is created at most this long after the change that it bills. */
const orderDelayMs = 60_000;
const averageMonthMs = (146_097 / 4_800) * 86_400_000;

/**
 * Assigns each line to its cycle. Only a line whose period is a billing period of the subscription starts a cycle.
 * Each cycle is started once: by the plan's regular line, else by the line of the change (a change of interval,
 * `reset`).
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

/** A line with its period; null if the period is unknown. */
interface PeriodLine {
  line: BilledLine;
  period: Cycle | null;
  /** Its period begins with the change that its order bills. */
  beginsPeriod: boolean;
  /** It pays for an earlier cycle than the one that its order renews, so its amount determines its share. */
  byAmount: boolean;
}

/** A line without a period gets the period in which its order was created, never one that begins later. */
function withPeriod(line: BilledLine, billing: SubscriptionBilling, periods: readonly Cycle[]): PeriodLine {
  if (line.period) {
    // A regular line states its billing period, but its clock may differ slightly.
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

/** Whether the order's change began the period in which it was created; null if that is unknown. */
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
  return orderedAt.getTime() - current.start.getTime() < orderDelayMs ? null : false;
}

/** The line that starts each cycle, by its instant. */
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
  // The final invoice of an ended subscription.
  if (endedAt && (endedAt <= period.start || endedAt <= line.orderedAt)) return false;
  if (line.plan !== null && line.plan !== line.orderPlan) return false;
  if (begins) return true;
  const known = periods.find(({ start }) => start.getTime() === period.start.getTime());
  const expected = termsOf(line.orderPlan, period.start).months * averageMonthMs;
  const whole = Math.abs(lengthOf(period) - expected) <= intervalToleranceMs;
  if (line.proration) {
    const others = lines.filter((other) => other.line !== line && other.line.orderId === line.orderId);
    // The two lines of a change within a cycle are for the same rest of it.
    if (others.some((other) => other.line.proration && isSame(other.period, period))) return false;
    if (known) return isSame(known, period) || whole;
    return whole && line.orderedAt.getTime() - period.start.getTime() < orderDelayMs;
  }
  if (known) return isSame(known, period) || whole;
  const inside = periods.some(({ start, end }) => start < period.start && period.start < end);
  // An early renewal whose state of the subscription was lost: only a plan's own price bills a whole cycle at its start.
  const renewsEarly = line.plan === line.orderPlan && isClose(line.orderedAt, period.start);
  return whole && (!inside || renewsEarly);
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
        reason: `the billing period of the line of ${line.orderedAt.toISOString()} is not known`,
      });
      continue;
    }
    byCycle.set(cycle, [...(byCycle.get(cycle) ?? []), { ...one, period }]);
  }
  return [...byCycle].map(([cycle, changes]) => ({ cycle, changes }));
}

/** The cycle of a change. A line that returns money at the start of a new period belongs to the previous period. */
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
 * Adds the changes of a cycle to its lines, in their order, as debits and credits. An order that begins a new period by a
 * change only returns the rest of the old period, as the last change in it.
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
  const plansAfter = plansAfterChanges([...groups.values()], billing);
  for (const group of groups.values()) {
    const orderId = group[0]?.line.orderId;
    const isLast = lastOf.get(orderId) === group;
    const credits: typeof group = [];
    const debits: typeof group = [];
    const planAfter = plansAfter.get(group);
    const isCredit = ({ amount, plan, orderId, orderPlan }: BilledLine): boolean => {
      if (amount !== 0n) return amount < 0n;
      // A line of 0 has no sign. A change has at most one such credit, and the plans decide which line it is.
      if (credits.length > 0) return false;
      if (closing.has(orderId)) return true;
      if (plan === null) return group.length > 1;
      if (planAfter !== undefined) return plan !== planAfter;
      if (current === null && isLast && group.length > 1) return plan !== orderPlan;
      return plan === current;
    };
    for (const one of group) (isCredit(one.line) ? credits : debits).push(one);
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
        reason: `the previous plan of the cycle of ${cycle.start.toISOString()} is not known`,
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

/**
 * The plan after each change that an order without a regular line bills: the last change leads to the order's plan,
 * and each earlier one to the plan that the next one leaves. So it does not depend on earlier orders, which may become
 * known later. The order of a renewal names the plan of the next cycle instead.
 *
 * @param groups  the lines of each change, in the order of the changes
 */
function plansAfterChanges<Group extends readonly PeriodLine[]>(
  groups: readonly Group[],
  { lines }: SubscriptionBilling,
): Map<Group, string> {
  const plans = new Map<Group, string>();
  for (const [orderId, changes] of Map.groupBy(groups, ([first]) => first?.line.orderId)) {
    if (lines.some((line) => line.orderId === orderId && !line.proration)) continue;
    let after = changes[0]?.[0]?.line.orderPlan ?? null;
    for (const group of changes.toReversed()) {
      const before = planBefore(group, after);
      if (after === null || before === undefined) break;
      plans.set(group, after);
      after = before;
    }
  }
  return plans;
}

/** The plan that a change to `after` leaves: the other plan of its lines. Undefined if they are not of two plans. */
function planBefore(group: readonly PeriodLine[], after: string | null): string | null | undefined {
  const plans = new Set(group.map(({ line }) => line.plan));
  if (plans.size !== 2 || !plans.has(after)) return undefined;
  return [...plans].find((plan) => plan !== after);
}

/** Orders with money and without a line for a cycle: what they paid for is unknown. */
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
  return Math.abs(a.getTime() - b.getTime()) < orderDelayMs;
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
