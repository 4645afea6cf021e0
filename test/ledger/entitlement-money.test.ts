import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addMonthsAnchored, type Cycle } from '../../catalog/cycle.ts';
import type { BilledLine, PlanTerms } from '../../ledger/rules/cycle-lines.ts';
import { cycleTarget, entitlementOf, type OrderMoney } from '../../ledger/rules/entitlement.ts';

/**
 * Random subscriptions at a model of Polar that knows only money: a price list, a wallet, line amounts in cents. The
 * model computes the credits that the kept money bought at the catalog's price. The entitlement must not exceed them.
 */
const runs = Number(process.env.FC_RUNS ?? 10_000);

const plans = {
  starter: { cents: 1_900, credits: 2_000, months: 1 },
  pro: { cents: 4_900, credits: 6_000, months: 1 },
  yearly: { cents: 49_000, credits: 72_000, months: 12 },
} as const;
type PlanKey = keyof typeof plans;

const terms = (key: string): PlanTerms => {
  const { cents, credits, months } = plans[key as PlanKey];
  return {
    allotment: BigInt(credits) * 1_000_000n,
    dripsMonthly: months === 12,
    months,
    price: BigInt(cents),
    catalogVersion: 1,
  };
};

type Deed =
  | { kind: 'change'; plan: PlanKey; billed: 'now' | 'later' | 'reset' | 'next period' }
  | { kind: 'renew' }
  | { kind: 'refund'; order: number; share: number }
  | { kind: 'reverse'; order: number }
  | { kind: 'discount'; percent: number };
interface Step {
  afterMs: number;
  deed: Deed;
}

const minute = 60_000;
const day = 86_400_000;
const plan = fc.constantFrom<PlanKey>('starter', 'pro', 'yearly');
const billed = fc.constantFrom('now', 'now', 'now', 'later', 'reset', 'next period' as const);
const change = fc.tuple(plan, billed).map(([to, how]): Deed => ({ kind: 'change', plan: to, billed: how }));
const changeNow = plan.map((to): Deed => ({ kind: 'change', plan: to, billed: 'now' }));
const renew = fc.constant<Deed>({ kind: 'renew' });
const refund = fc
  .tuple(fc.nat(5), fc.constantFrom(0.01, 0.3, 0.5, 1))
  .map(([order, share]): Deed => ({ kind: 'refund', order, share }));
const reverse = fc.nat(5).map((order): Deed => ({ kind: 'reverse', order }));
const discount = fc.constantFrom(0, 30, 100).map((percent): Deed => ({ kind: 'discount', percent }));

const after = fc.constantFrom(1_000, minute, 5 * minute, 3 * day + 7, 11 * day + 13, 29 * day + 17);
const stepsOf = (...deeds: fc.Arbitrary<Deed>[]) =>
  fc.array(
    fc.tuple(after, fc.oneof(...deeds)).map(([afterMs, deed]): Step => ({ afterMs, deed })),
    { minLength: 1, maxLength: 14 },
  );
const steps = stepsOf(change, change, change, renew, refund, reverse, discount);

/** A line as the model bills it. Its list price before any discount says what it bought. */
interface ModelLine {
  plan: PlanKey;
  listCents: number;
  cents: number;
  proration: boolean;
  period: Cycle;
  /** Start of the cycle whose credits it pays for. */
  cycle: number;
}

interface ModelOrder {
  id: string;
  at: Date;
  plan: PlanKey;
  lines: ModelLine[];
  /** Cents paid in money. */
  charged: number;
  /** `net_amount + applied_balance_amount`, at least 0. */
  paid: number;
  refunded: number;
}

/** A model of Polar's money. */
class Wallet {
  now = new Date(Date.UTC(2040, 0, 1, 10));
  plan: PlanKey;
  pending: PlanKey | null = null;
  period: Cycle;
  periods: Cycle[] = [];
  orders: ModelOrder[] = [];
  later: ModelLine[] = [];
  discount = 0;
  /** Cents that Polar owes the customer. */
  credit = 0;

  constructor(first: PlanKey) {
    this.plan = first;
    this.period = this.startPeriod();
    this.bill([this.regularLine()]);
  }

  goTo(at: Date): void {
    while (this.period.end <= at) {
      this.now = this.period.end;
      this.renew();
    }
    this.now = at;
  }

  renew(): void {
    if (this.now < this.period.end) {
      this.period = { start: this.period.start, end: this.now };
      this.periods[this.periods.length - 1] = this.period;
    }
    this.plan = this.pending ?? this.plan;
    this.pending = null;
    this.period = this.startPeriod();
    this.bill([...this.later.splice(0), this.regularLine()]);
  }

  change(next: PlanKey, billed: Extract<Deed, { kind: 'change' }>['billed']): void {
    if (next === this.plan || this.now <= this.period.start) return;
    if (billed === 'next period') {
      this.pending = next;
      return;
    }
    const { start, end } = this.period;
    const otherInterval = plans[next].months !== plans[this.plan].months;
    const begins = billed === 'reset' || otherInterval;
    const credit = this.line(this.plan, -this.share(plans[this.plan].cents), { start: this.now, end }, start);
    this.plan = next;
    this.pending = null;
    if (begins) this.period = this.startPeriod();
    const rest = begins ? this.period : { start: this.now, end };
    const cents = begins ? plans[next].cents : this.share(plans[next].cents);
    const debit = this.line(next, cents, rest, begins ? this.period.start.getTime() : start);
    const lines = billed === 'reset' ? [debit] : [credit, debit];
    if (billed === 'later' && !begins) this.later.push(...lines);
    else this.bill([...this.later.splice(0), ...lines]);
  }

  refund(order: number, share: number): void {
    const one = this.orders.at(-1 - (order % this.orders.length));
    if (one) one.refunded = Math.min(one.paid, one.refunded + Math.floor(one.paid * share));
  }

  reverse(order: number): void {
    const one = this.orders.at(-1 - (order % this.orders.length));
    if (one) one.refunded = 0;
  }

  private startPeriod(): Cycle {
    const { months } = plans[this.plan];
    const period = { start: this.now, end: addMonthsAnchored(this.now, months, this.now.getUTCDate()) };
    this.periods.push(period);
    return period;
  }

  private regularLine(): ModelLine {
    const { start } = this.period;
    return { ...this.line(this.plan, plans[this.plan].cents, this.period, start), proration: false };
  }

  private line(key: PlanKey, listCents: number, period: Cycle, cycle: number | Date): ModelLine {
    const cents = Math.round((listCents * (100 - this.discount)) / 100);
    return { plan: key, listCents, cents, proration: true, period, cycle: Number(cycle) };
  }

  private share(cents: number): number {
    const { start, end } = this.period;
    const left = end.getTime() - this.now.getTime();
    return Math.round((cents * left) / (end.getTime() - start.getTime()));
  }

  private bill(lines: ModelLine[]): void {
    const total = lines.reduce((sum, { cents }) => sum + cents, 0);
    const applied = total > 0 ? Math.min(total, this.credit) : 0;
    this.credit += total < 0 ? -total : -applied;
    const paid = Math.max(0, total - applied);
    const id = `order-${this.orders.length}`;
    this.orders.push({ id, at: this.now, plan: this.plan, lines, charged: paid, paid, refunded: 0 });
  }
}

function live(first: PlanKey, life: readonly Step[]): Wallet {
  const wallet = new Wallet(first);
  for (const { afterMs, deed } of life) {
    wallet.goTo(new Date(wallet.now.getTime() + afterMs));
    switch (deed.kind) {
      case 'change':
        wallet.change(deed.plan, deed.billed);
        break;
      case 'renew':
        wallet.renew();
        break;
      case 'refund':
        wallet.refund(deed.order, deed.share);
        break;
      case 'reverse':
        wallet.reverse(deed.order);
        break;
      case 'discount':
        wallet.discount = deed.percent;
        break;
    }
  }
  return wallet;
}

/** As read from Polar's payloads of the orders. */
function billedLines({ orders }: Wallet, { withPrices }: { withPrices: boolean }): BilledLine[] {
  return orders.flatMap(({ id, at, plan: orderPlan, lines }) =>
    lines.map(({ plan: key, cents, proration, period }, index) => ({
      orderId: id,
      index,
      orderedAt: at,
      orderPlan,
      billsUsage: false,
      amount: BigInt(cents),
      proration,
      plan: withPrices ? key : null,
      period,
      inTrial: false,
    })),
  );
}

function entitledCredits(wallet: Wallet, lines: BilledLine[]): { total: number; unplaced: number } {
  const { cycles, unplaced } = entitlementOf({
    id: 'sub',
    startedAt: wallet.periods[0]?.start ?? null,
    endedAt: null,
    periods: wallet.periods,
    lines,
    termsOf: terms,
  });
  const orders = new Map<string, OrderMoney>(
    wallet.orders.map(({ id, paid, refunded }) => [id, { paid: BigInt(paid), reversed: BigInt(refunded) }]),
  );
  const targets = cycles.map((cycle) => cycleTarget(cycle, orders, wallet.now));
  return {
    total: Number(targets.reduce((sum, credits) => sum + credits, 0n)) / 1_000_000,
    unplaced: unplaced.size,
  };
}

/**
 * The credits that the kept money bought at the price list, by cycle: money returned for one cycle pays for no other.
 */
function boughtCredits({ orders }: Wallet): number {
  const byCycle = new Map<number, number>();
  for (const { lines, paid, refunded } of orders) {
    const perCycle = Map.groupBy(lines, ({ cycle }) => cycle);
    for (const [cycle, ofCycle] of perCycle) {
      const worth = ofCycle.reduce(
        (sum, { plan: key, listCents }) => sum + (listCents * plans[key].credits) / plans[key].cents,
        0,
      );
      const kept = paid > 0 && worth > 0 ? 1 - refunded / paid : 1;
      // A change that is billed at the start of a later cycle is paid with that cycle.
      const started = lines.find((line) => line.period.start.getTime() === line.cycle)?.cycle;
      const of = worth > 0 && started !== undefined ? started : cycle;
      byCycle.set(of, (byCycle.get(of) ?? 0) + worth * kept);
    }
  }
  return [...byCycle.values()].reduce((sum, credits) => sum + Math.max(0, credits), 0);
}

/** Each amount is rounded to a whole cent, which is worth up to 1.5 credits. */
function rounding({ orders }: Wallet): number {
  return orders.reduce((sum, { lines }) => sum + 1.5 * lines.length, 1);
}

test(`no sequence of changes grants more credits than the kept money bought (${runs} lives)`, () => {
  fc.assert(
    fc.property(plan, steps, (first, life) => {
      const wallet = live(first, life);
      const { total, unplaced } = entitledCredits(wallet, billedLines(wallet, { withPrices: true }));
      expect(unplaced).toBe(0);
      expect(total).toBeLessThanOrEqual(boughtCredits(wallet) + rounding(wallet));
    }),
    { numRuns: runs },
  );
});

test(`without refunds and discounts, the credits are at most those of the cash that was kept (${runs} lives)`, () => {
  const dearest = Math.max(...Object.values(plans).map(({ credits, cents }) => credits / cents));
  const paidOnly = steps.map((life) =>
    life.filter(({ deed }) => deed.kind === 'change' || deed.kind === 'renew'),
  );
  fc.assert(
    fc.property(plan, paidOnly, (first, life) => {
      const wallet = live(first, life);
      const cash = wallet.orders.reduce((sum, { charged }) => sum + charged, 0) - wallet.credit;
      const owedLater = wallet.later.reduce((sum, { cents }) => sum + cents, 0);
      const { total } = entitledCredits(wallet, billedLines(wallet, { withPrices: true }));
      // A change that the next renewal bills has granted and taken nothing yet.
      expect(total).toBeLessThanOrEqual((cash + Math.max(0, -owedLater)) * dearest + rounding(wallet));
    }),
    { numRuns: runs },
  );
});

test(`the order in which lines are known does not matter (${runs} lives)`, () => {
  fc.assert(
    fc.property(plan, steps, fc.infiniteStream(fc.nat(1_000)), (first, life, random) => {
      const wallet = live(first, life);
      const lines = billedLines(wallet, { withPrices: true });
      const shuffled = lines
        .map((line) => ({ line, rank: random.next().value ?? 0 }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ line }) => line);
      expect(entitledCredits(wallet, shuffled)).toEqual(entitledCredits(wallet, lines));
    }),
    { numRuns: runs },
  );
});

test(`with unknown prices the credits are the same, if the lines have signs (${runs} lives)`, () => {
  const signed = stepsOf(changeNow, renew);
  fc.assert(
    fc.property(plan, signed, (first, life) => {
      const wallet = live(first, life);
      const known = entitledCredits(wallet, billedLines(wallet, { withPrices: true }));
      expect(entitledCredits(wallet, billedLines(wallet, { withPrices: false }))).toEqual(known);
    }),
    { numRuns: runs },
  );
});
