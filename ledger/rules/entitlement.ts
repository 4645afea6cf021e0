import { anchorDayOf, type Cycle, dripInstants, splitAllotment } from '../../catalog/cycle.ts';
import { type CycleLines, cyclesOf, type PaidLine, type SubscriptionBilling } from './cycle-lines.ts';
import { clawbackTarget } from './plan-clawback.ts';

/** Credits that a line of a paid order grants at one instant. */
export interface EntitledGrant {
  orderId: string;
  businessKey: string;
  /** Micro-credits; > 0. */
  credits: bigint;
  /** When they are due: the start of the cycle, the change of plan, or the instant of the drip. */
  dueAt: Date;
  plan: string;
  /** Micro-credits of one complete cycle of the plan. */
  allotment: bigint;
  catalogVersion: number;
  kind: 'allotment' | 'change' | 'drip';
}

/** The entitlement of one cycle from the paid lines of its subscription. */
export interface CycleEntitlement extends Cycle {
  /** Whether a paid line starts it. */
  paid: boolean;
  /** When the next cycle begins, if that is before `end`: from then on this cycle grants nothing. */
  closedAt: Date | null;
  /** In the order of their due times. */
  grants: EntitledGrant[];
  /** The total of micro-credits that lines which return money take back. */
  taken: bigint;
  /**
   * The cycle's total after all drips: the credits of each order, and how much of them is returned. It is the upper
   * bound of what is due: a refund is a share of the whole order, even if its drips have ended early.
   */
  whole: { brought: Map<string, bigint>; returned: bigint };
}

export interface Entitlement {
  /** In the order of their start. */
  cycles: CycleEntitlement[];
  /** Orders with a line whose cycle is unknown, each with the reason. Such an order adds nothing. */
  unplaced: ReadonlyMap<string, Unplaced>;
}

export interface Unplaced {
  /**
   * `cycle_unknown`: later events may show its cycle. `no_credits`: the order has lines, and none of them is for a
   * plan.
   */
  code: 'cycle_unknown' | 'no_credits';
  reason: string;
}

/** The paid and the reversed money of an order. In the currency's minor units. */
export interface OrderMoney {
  paid: bigint;
  reversed: bigint;
}

/**
 * Computes the entitlement of each cycle of a subscription: credits follow the lines of its paid orders, in money and
 * in time. The line that starts a cycle grants the plan's allotment. A debit line of a change grants `allotment(new
 * plan) × share`, and a credit line takes `allotment(old plan) × share`. The share is the part of the cycle that the
 * line pays for. A monthly drip is due at its instant. For a yearly plan, a credit line first cancels future drips,
 * then takes granted ones.
 *
 * Pure, and a function of the whole set of lines: their order, duplicated events and repeated changes do not matter.
 */
export function entitlementOf(billing: SubscriptionBilling): Entitlement {
  const { cycles, unplaced } = cyclesOf(billing);
  const entitled = cycles.map((cycle, index) => {
    const next = cycles[index + 1];
    const closedAt = next && next.start < cycle.end ? next.start : null;
    return { ...entitlementOfCycle(cycle, closedAt, billing), closedAt };
  });
  moveToStartedCycle(entitled);
  return { unplaced, cycles: entitled };
}

/** The grants of a cycle that are due at `now`. A fully reversed order has no further drips. */
export function dueGrants(
  { grants }: CycleEntitlement,
  orders: ReadonlyMap<string, OrderMoney>,
  now: Date,
): EntitledGrant[] {
  return grants.filter(
    ({ kind, dueAt, orderId }) =>
      kind !== 'drip' || (dueAt <= now && !isFullyReversed(moneyOf(orders, orderId))),
  );
}

/**
 * The drips of a subscription that are not granted yet, due or not, of every order that is not fully reversed.
 * @param granted  the business keys of the subscription's grants
 */
export function openDrips(
  cycles: readonly CycleEntitlement[],
  orders: ReadonlyMap<string, OrderMoney>,
  granted: ReadonlySet<string>,
): EntitledGrant[] {
  return cycles
    .flatMap(({ grants }) => grants)
    .filter(
      ({ kind, businessKey, orderId }) =>
        kind === 'drip' && !granted.has(businessKey) && !isFullyReversed(moneyOf(orders, orderId)),
    );
}

function moneyOf(orders: ReadonlyMap<string, OrderMoney>, orderId: string): OrderMoney {
  const money = orders.get(orderId);
  if (!money) throw new Error(`the money of order ${orderId} is missing`);
  return money;
}

/**
 * A change that the next renewal bills is paid when its own cycle is over. So its credits belong to the cycle that the
 * same order starts.
 */
function moveToStartedCycle(cycles: CycleEntitlement[]): void {
  for (const [index, started] of cycles.entries()) {
    const orderId = started.grants.find(({ kind }) => kind === 'allotment')?.orderId;
    if (orderId === undefined) continue;
    for (const earlier of cycles.slice(0, index)) {
      const late = earlier.grants.filter((grant) => grant.orderId === orderId);
      const [first] = late;
      if (!first) continue;
      earlier.grants = earlier.grants.filter((grant) => grant.orderId !== orderId);
      const brought = earlier.whole.brought.get(orderId) ?? 0n;
      earlier.whole.brought.delete(orderId);
      started.whole.brought.set(orderId, (started.whole.brought.get(orderId) ?? 0n) + brought);
      const credits = late.reduce((total, grant) => total + grant.credits, 0n);
      const businessKey = `order:${orderId}`;
      started.grants.push({ ...first, kind: 'change', businessKey, credits, dueAt: started.start });
    }
  }
}

/** The business key of the credits that a subscription grants at an instant. */
function allotmentKey(subscriptionId: string, at: Date): string {
  return `allotment:${subscriptionId}:${at.toISOString()}`;
}

/** A part of an allotment and its due time. */
interface Step {
  at: Date;
  credits: bigint;
}

/** A line that grants credits, and how much of them is left after lines that return money. */
interface Bringing {
  line: PaidLine;
  steps: Step[];
  total: bigint;
  /** When a credit line returned the rest of it; null if none has. */
  returnedAt: Date | null;
  returned: bigint;
}

/**
 * The credits that one order grants and takes at a change of plan, as fractions. Only their difference is rounded,
 * down.
 */
interface Change {
  grant: Omit<EntitledGrant, 'businessKey' | 'credits' | 'kind'> | null;
  brought: Fraction;
  taken: Fraction;
}

interface Fraction {
  part: bigint;
  whole: bigint;
}

const nothing: Fraction = { part: 0n, whole: 1n };

function entitlementOfCycle(
  cycle: CycleLines,
  closedAt: Date | null,
  { id, startedAt, endedAt }: SubscriptionBilling,
): Omit<CycleEntitlement, 'closedAt'> {
  const { start, end, paid } = cycle;
  const stops = Math.min(end.getTime(), ...[closedAt, endedAt].flatMap((at) => (at ? [at.getTime()] : [])));
  const bringing: Bringing[] = [];
  const changes = new Map<string, Change>();
  const changeOf = (orderId: string) => {
    const known = changes.get(orderId) ?? { grant: null, brought: nothing, taken: nothing };
    changes.set(orderId, known);
    return known;
  };

  for (const line of cycle.lines) {
    const total = creditsOf(line);
    if (line.direction !== 'credit') {
      const steps = stepsOf(line, cycle, startedAt ?? start);
      bringing.push({ line, steps, total, returnedAt: null, returned: 0n });
      continue;
    }
    const change = changeOf(line.orderId);
    const returned = bringing.findLast(
      (one) => one.line.plan === line.plan && one.returnedAt === null && one.line.start <= line.start,
    );
    if (!returned || !line.terms.dripsMonthly) {
      change.taken = add(change.taken, exactCreditsOf(line));
      continue;
    }
    returned.returnedAt = line.start;
    returned.returned = least(total, returned.total);
    const kept = returned.total - returned.returned;
    const came = sum(returned.steps.filter(({ at }) => at <= line.start && at.getTime() < stops));
    if (came > kept) change.taken = add(change.taken, { part: came - kept, whole: 1n });
  }

  const grants: EntitledGrant[] = [];
  for (const { line, steps, total, returned, returnedAt } of bringing) {
    const kept = total - returned;
    let came = 0n;
    for (const [index, { at, credits: part }] of steps.entries()) {
      if (index > 0 && at.getTime() >= stops) break;
      const left =
        returnedAt !== null && at > returnedAt ? least(part, kept > came ? kept - came : 0n) : part;
      came += left;
      const grant = grantOf(line, at);
      if (index > 0)
        grants.push({ ...grant, credits: left, kind: 'drip', businessKey: dripKey(id, line, at) });
      else if (line.direction === 'start')
        grants.push({ ...grant, credits: left, kind: 'allotment', businessKey: allotmentKey(id, at) });
      else {
        const change = changeOf(line.orderId);
        change.grant = grant;
        const brought = line.terms.dripsMonthly ? { part: left, whole: 1n } : exactCreditsOf(line);
        change.brought = add(change.brought, brought);
      }
    }
  }

  let taken = 0n;
  for (const [orderId, { grant, brought, taken: away }] of changes) {
    const credits = floor(subtract(brought, away));
    if (credits < 0n) taken += floor(subtract(away, brought));
    else if (grant) grants.push({ ...grant, credits, kind: 'change', businessKey: `order:${orderId}` });
  }
  const due = grants.filter(({ credits }) => credits > 0n);
  due.sort((a, b) => a.dueAt.getTime() - b.dueAt.getTime() || (a.businessKey < b.businessKey ? -1 : 1));
  return { start, end, paid, grants: due, taken, whole: wholeOf(cycle) };
}

function wholeOf({ lines }: CycleLines): CycleEntitlement['whole'] {
  const brought = new Map<string, bigint>();
  let returned = 0n;
  for (const [orderId, ofOrder] of Map.groupBy(lines, (line) => line.orderId)) {
    const net = ofOrder.reduce((total, line) => {
      const credits = exactCreditsOf(line);
      return line.direction === 'credit' ? subtract(total, credits) : add(total, credits);
    }, nothing);
    if (net.part > 0n) brought.set(orderId, floor(net));
    else returned += floor(subtract(nothing, net));
  }
  return { brought, returned };
}

/**
 * The target of a cycle's credits: its due grants, minus what refunds and disputes reversed of each order, minus what
 * lines that return money took. At most the whole cycle's total, at least zero.
 *
 * @param now  drips that are due later do not count
 * @returns micro-credits
 */
export function cycleTarget(
  { grants, taken, whole }: CycleEntitlement,
  orders: ReadonlyMap<string, OrderMoney>,
  now: Date,
): bigint {
  const due = new Map<string, bigint>();
  for (const { orderId, credits, dueAt, kind } of grants) {
    if (kind !== 'drip' || dueAt <= now) due.set(orderId, (due.get(orderId) ?? 0n) + credits);
  }
  const ofDue = keptOf(due, orders) - taken;
  const ofWhole = keptOf(whole.brought, orders) - whole.returned;
  const target = least(ofDue, ofWhole);
  return target > 0n ? target : 0n;
}

function keptOf(brought: ReadonlyMap<string, bigint>, orders: ReadonlyMap<string, OrderMoney>): bigint {
  let kept = 0n;
  for (const [orderId, credits] of brought) {
    const { paid, reversed } = moneyOf(orders, orderId);
    kept += credits - clawbackTarget(credits, paid, reversed);
  }
  return kept;
}

/** Whether all of an order's money was reversed: it has no further drips. */
function isFullyReversed({ paid, reversed }: OrderMoney): boolean {
  return paid > 0n && reversed >= paid;
}

function exactCreditsOf({ terms, share: { part, whole } }: PaidLine): Fraction {
  return { part: terms.allotment * part, whole };
}

function creditsOf(line: PaidLine): bigint {
  return floor(exactCreditsOf(line));
}

function add(a: Fraction, b: Fraction): Fraction {
  if (a.whole === b.whole) return { part: a.part + b.part, whole: a.whole };
  return { part: a.part * b.whole + b.part * a.whole, whole: a.whole * b.whole };
}

function subtract(a: Fraction, b: Fraction): Fraction {
  return add(a, { part: -b.part, whole: b.whole });
}

/** Rounds towards minus infinity. */
function floor({ part, whole }: Fraction): bigint {
  return part < 0n && part % whole !== 0n ? part / whole - 1n : part / whole;
}

/**
 * When a line's credits are due: a complete allotment in equal drips, the rest of one in proportion to the time
 * between drips.
 */
function stepsOf(line: PaidLine, cycle: Cycle, startedOn: Date): Step[] {
  const total = creditsOf(line);
  if (!line.terms.dripsMonthly) return [{ at: line.start, credits: total }];
  const whole = { start: cycle.start, end: line.end };
  const instants = dripInstants(whole, anchorDayOf(whole, startedOn));
  if (line.direction === 'start') {
    const parts = splitAllotment(total, instants.length);
    return instants.map((at, index) => ({ at, credits: partOf(parts, index) }));
  }
  const later = instants.filter((at) => at > line.start && at < line.end);
  const ends = [...later, line.end];
  const length = BigInt(line.end.getTime() - line.start.getTime());
  let before = 0n;
  return [line.start, ...later].map((at, index) => {
    const end = ends[index];
    if (!end) throw new Error('each step must end where the next begins');
    const upTo = (total * BigInt(end.getTime() - line.start.getTime())) / length;
    const credits = upTo - before;
    before = upTo;
    return { at, credits };
  });
}

function partOf(parts: readonly bigint[], index: number): bigint {
  const part = parts[index];
  if (part === undefined) throw new Error(`an allotment in ${parts.length} parts has no part ${index}`);
  return part;
}

function grantOf({ orderId, plan, terms }: PaidLine, dueAt: Date) {
  return { orderId, plan, dueAt, allotment: terms.allotment, catalogVersion: terms.catalogVersion };
}

function dripKey(subscriptionId: string, line: PaidLine, at: Date): string {
  if (line.direction === 'start') return allotmentKey(subscriptionId, at);
  return `drip:${line.orderId}:${at.toISOString()}`;
}

function sum(steps: readonly Step[]): bigint {
  return steps.reduce((total, { credits }) => total + credits, 0n);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
