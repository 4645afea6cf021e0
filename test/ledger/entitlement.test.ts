import { expect, test } from '@jest/globals';
import { addMonthsAnchored } from '../../catalog/cycle.ts';
import type { BilledLine, PlanTerms, SubscriptionBilling } from '../../ledger/rules/cycle-lines.ts';
import { cycleTarget, entitlementOf } from '../../ledger/rules/entitlement.ts';

const credit = 1_000_000n;
const plans: Record<string, PlanTerms> = {
  starter: { allotment: 2_000n * credit, dripsMonthly: false, months: 1, price: 1_900n, catalogVersion: 1 },
  pro: { allotment: 6_000n * credit, dripsMonthly: false, months: 1, price: 4_900n, catalogVersion: 1 },
  yearly: { allotment: 72_000n * credit, dripsMonthly: true, months: 12, price: 49_000n, catalogVersion: 1 },
  yearly_small: {
    allotment: 24_000n * credit,
    dripsMonthly: true,
    months: 12,
    price: 19_000n,
    catalogVersion: 1,
  },
};

const at = (text: string) => new Date(text.includes('T') ? text : `${text}T10:00:00.000Z`);
const month = (start: string, months = 1) => ({
  start: at(start),
  end: addMonthsAnchored(at(start), months, 1),
});
const from = (start: string, end: string) => ({ start: at(start), end: at(end) });
const seconds = (date: Date, more: number) => new Date(date.getTime() + more * 1_000);

type Line = Partial<BilledLine> & Pick<BilledLine, 'orderId' | 'orderPlan' | 'orderedAt'>;
function line(given: Line): BilledLine {
  const base = { index: 0, billsUsage: false, amount: 1_900n, proration: false, plan: null };
  return { ...base, period: null, inTrial: false, ...given };
}

function billing(given: Partial<SubscriptionBilling>): SubscriptionBilling {
  const termsOf = (plan: string) => {
    const terms = plans[plan];
    if (!terms) throw new Error(`no plan ${plan}`);
    return terms;
  };
  return { id: 'sub', startedAt: null, endedAt: null, periods: [], lines: [], termsOf, ...given };
}

/** The final credits of each cycle, with all orders paid and none reversed. */
function kept(of: SubscriptionBilling, now = at('2099-01-01')): Record<string, number> {
  const { cycles } = entitlementOf(of);
  const orders = new Map(of.lines.map(({ orderId }) => [orderId, { paid: 1_000n, reversed: 0n }]));
  return Object.fromEntries(
    cycles.map((cycle) => [
      cycle.start.toISOString().slice(0, 10),
      Number(cycleTarget(cycle, orders, now)) / 1_000_000,
    ]),
  );
}

const january = month('2040-01-01');
const february = month('2040-02-01');
const bought = line({
  orderId: 'first',
  orderPlan: 'starter',
  orderedAt: seconds(january.start, 1),
  period: january,
});

/** The two lines of a change within a cycle, as a separate order. */
function change(
  id: string,
  when: Date,
  fromPlan: string,
  toPlan: string,
  end: Date,
  extra: Partial<BilledLine> = {},
) {
  const period = { start: when, end };
  const shared = { orderId: id, orderPlan: toPlan, orderedAt: seconds(when, 1), proration: true, period };
  return [
    line({ ...shared, index: 0, plan: fromPlan, amount: -100n, ...extra }),
    line({ ...shared, index: 1, plan: toPlan, amount: 250n, ...extra }),
  ];
}

test('a paid line whose period is a billing period starts a cycle and grants the plan’s allotment', () => {
  expect(kept(billing({ periods: [january], lines: [bought] }))).toEqual({ '2040-01-01': 2_000 });
});

test('a regular line whose period starts some seconds before or after a billing period is for that period', () => {
  const period = { start: seconds(january.start, 3), end: seconds(january.end, 3) };
  expect(kept(billing({ periods: [january], lines: [{ ...bought, period }] }))).toEqual({
    '2040-01-01': 2_000,
  });
});

test('of two paid orders for one cycle the earlier one starts it, and the other grants nothing', () => {
  const double = line({
    orderId: 'double',
    orderPlan: 'starter',
    orderedAt: seconds(january.start, 60),
    period: january,
  });
  for (const lines of [
    [bought, double],
    [double, bought],
  ]) {
    const of = billing({ periods: [january], lines });
    expect(kept(of)).toEqual({ '2040-01-01': 2_000 });
    expect([...entitlementOf(of).unplaced].map(([id, { code }]) => [id, code])).toEqual([
      ['double', 'no_credits'],
    ]);
  }
});

test('a change of 0 before the payment of its cycle takes and grants the same as one with money', () => {
  const half = new Date((january.start.getTime() + january.end.getTime()) / 2);
  const up = change('up', half, 'starter', 'pro', january.end, { amount: 0n });
  expect(kept(billing({ periods: [january], lines: up }))).toEqual({ '2040-01-01': 2_000 });
});

test('an unpaid period grants nothing', () => {
  expect(kept(billing({ periods: [january, february], lines: [bought] }))).toEqual({
    '2040-01-01': 2_000,
    '2040-02-01': 0,
  });
});

test('an upgrade halfway grants half of the difference', () => {
  const half = new Date((january.start.getTime() + january.end.getTime()) / 2);
  const lines = [bought, ...change('up', half, 'starter', 'pro', january.end)];
  expect(kept(billing({ periods: [january], lines }))).toEqual({ '2040-01-01': 4_000 });
});

test('an upgrade that arrives before the payment of its cycle has the same result', () => {
  const half = new Date((january.start.getTime() + january.end.getTime()) / 2);
  const up = change('up', half, 'starter', 'pro', january.end);
  expect(kept(billing({ periods: [january], lines: up }))).toEqual({ '2040-01-01': 2_000 });
  expect(kept(billing({ periods: [january], lines: [...up, bought] }))).toEqual({ '2040-01-01': 4_000 });
});

test('an upgrade that is undone a second later leaves the credits of the smaller plan', () => {
  const up = seconds(january.start, 60);
  const back = seconds(up, 1);
  const lines = [
    bought,
    ...change('up', up, 'starter', 'pro', january.end),
    ...change('down', back, 'pro', 'starter', january.end),
  ];
  const [left] = Object.values(kept(billing({ periods: [january], lines })));
  expect(left).toBeGreaterThanOrEqual(2_000);
  expect(left).toBeLessThan(2_000.01);
});

test('with a 100 % discount every line is 0, and the plans decide which one takes credits', () => {
  const half = new Date((january.start.getTime() + january.end.getTime()) / 2);
  for (const plan of [null, undefined]) {
    const free = change('up', half, 'starter', 'pro', january.end, { amount: 0n }).map((one) =>
      plan === null ? { ...one, plan } : one,
    );
    const lines = [{ ...bought, amount: 0n }, ...free];
    expect(kept(billing({ periods: [january], lines }))).toEqual({ '2040-01-01': 4_000 });
  }
});

test('with a 100 % discount, the order’s plan decides which line takes credits, even if the previous change is unknown', () => {
  const [up, back] = [at('2040-01-10'), at('2040-01-20')];
  const free = { amount: 0n };
  const first = { ...bought, ...free };
  const upgrade = change('up', up, 'starter', 'pro', january.end, free);
  const downgrade = change('down', back, 'pro', 'starter', january.end, free);
  const granted = (lines: BilledLine[]) =>
    entitlementOf(billing({ periods: [january], lines })).cycles.flatMap(({ grants }) =>
      grants.map(({ orderId }) => orderId),
    );
  expect(granted([first, ...downgrade])).toEqual([first.orderId]);
  expect(granted([first, ...downgrade, ...upgrade])).toEqual([first.orderId, 'up']);
});

test('with a 100 % discount, the order of a renewal in another plan does not turn the change that it bills around', () => {
  const february = month('2040-02-01');
  const [up, down] = [at('2040-01-10'), at('2040-01-20')];
  const renewal = { orderId: 'renewal', orderPlan: 'pro', orderedAt: seconds(february.start, 1) };
  const rest = { start: down, end: january.end };
  const lines = [
    bought,
    ...change('up', up, 'starter', 'pro', january.end),
    line({ ...renewal, plan: 'pro', amount: 0n, proration: true, period: rest }),
    line({ ...renewal, index: 1, plan: 'starter', amount: 0n, proration: true, period: rest }),
    line({ ...renewal, index: 2, plan: 'pro', amount: 0n, period: february }),
  ];
  const result = kept(billing({ periods: [january, february], lines }));
  expect(result['2040-02-01']).toBe(6_000);
  const share = (january.end.getTime() - down.getTime()) / (january.end.getTime() - january.start.getTime());
  const upgrade = kept(billing({ periods: [january], lines: lines.slice(0, 3) }))['2040-01-01'] ?? 0;
  expect(result['2040-01-01']).toBeCloseTo(upgrade - 4_000 * share, 4);
});

test('with a 100 % discount, an order that bills two changes shows the plan after each, even if an earlier change is unknown', () => {
  const [up, down, upAgain] = [at('2040-01-10'), at('2040-01-15'), at('2040-01-20')];
  const free = { amount: 0n };
  const first = { ...bought, ...free };
  const upgrade = change('up', up, 'starter', 'pro', january.end, free);
  const both = [
    ...change('both', down, 'pro', 'starter', january.end, free),
    ...change('both', upAgain, 'starter', 'pro', january.end, free),
  ].map((one, index) => ({ ...one, index, orderPlan: 'pro', orderedAt: seconds(upAgain, 1) }));
  const total = (lines: BilledLine[]) => kept(billing({ periods: [january], lines }))['2040-01-01'] ?? 0;
  const known = total([first, ...upgrade, ...both]);
  expect(known).toBeLessThan(total([first, ...upgrade]));
  expect(total([first, ...both])).toBeLessThan(2_000);
});

test('an early renewal starts its cycle, even if only its order became known', () => {
  const start = seconds(january.start, 60);
  const next = { start, end: addMonthsAnchored(start, 1, 1) };
  const renewal = line({
    orderId: 'renewal',
    orderPlan: 'starter',
    orderedAt: start,
    plan: 'starter',
    amount: 1_900n,
    period: next,
  });
  const { cycles, unplaced } = entitlementOf(billing({ periods: [january], lines: [bought, renewal] }));
  expect(cycles.map(({ paid }) => paid)).toEqual([true, true]);
  expect(unplaced.size).toBe(0);
});

test('the credit line of a change takes the drips of the returned time, and those granted too early', () => {
  const year = month('2040-01-01', 12);
  const first = line({
    orderId: 'first',
    orderPlan: 'yearly',
    orderedAt: seconds(year.start, 1),
    period: year,
  });
  const back = at('2040-03-16');
  const next = { start: back, end: addMonthsAnchored(back, 1, 16) };
  const lines = [
    first,
    line({
      ...base('back', 'pro', back),
      plan: 'yearly',
      amount: -40_000n,
      period: { start: back, end: year.end },
    }),
    line({ ...base('back', 'pro', back), index: 1, plan: 'pro', amount: 4_900n, period: next }),
  ];
  const result = kept(billing({ startedAt: year.start, periods: [year, next], lines }));
  const share = (back.getTime() - year.start.getTime()) / (year.end.getTime() - year.start.getTime());
  expect(result['2040-01-01']).toBeCloseTo(72_000 * share, 5);
  expect(result['2040-03-16']).toBe(6_000);
});

function base(orderId: string, orderPlan: string, when: Date) {
  return { orderId, orderPlan, orderedAt: seconds(when, 1), proration: true };
}

test('switching the interval back and forth grants only what each switch kept', () => {
  let when = seconds(january.start, 60);
  const periods = [january];
  const lines = [{ ...bought, orderPlan: 'pro', amount: 4_900n }];
  let before = { plan: 'pro', end: january.end };
  for (let index = 0; index < 6; index += 1) {
    const plan = before.plan === 'pro' ? 'yearly' : 'pro';
    const next = { start: when, end: addMonthsAnchored(when, plan === 'pro' ? 1 : 12, 1) };
    const order = base(`switch-${index}`, plan, when);
    lines.push(
      line({ ...order, plan: before.plan, amount: -4_000n, period: { start: when, end: before.end } }),
      line({ ...order, index: 1, plan, amount: 4_000n, period: next }),
    );
    periods.push(next);
    before = { plan, end: next.end };
    when = seconds(when, 60);
  }
  const result = Object.values(kept(billing({ periods, lines }), when));
  expect(result.at(-1)).toBe(6_000);
  expect(result.slice(0, -1).every((credits) => credits < 1)).toBe(true);
});

test('an interval change without item timestamps starts the new cycle at the change, in monthly drips', () => {
  const switched = at('2040-01-11');
  const year = { start: switched, end: addMonthsAnchored(switched, 12, 11) };
  const order = { ...base('switch', 'yearly', switched), period: null };
  const lines = [
    bought,
    line({ ...order, plan: 'starter', amount: -1_300n }),
    line({ ...order, index: 1, plan: 'yearly', amount: 49_000n }),
  ];
  const of = billing({ startedAt: january.start, periods: [january, year], lines });
  expect(kept(of, seconds(switched, 60))['2040-01-11']).toBe(6_000);
  expect(kept(of)['2040-01-11']).toBe(72_000);
  expect(kept(of)['2040-01-01']).toBeCloseTo((2_000 * 10) / 31, 5);
});

test('an interval change whose old period is unknown never grants a year at once', () => {
  const switched = at('2040-01-11');
  const year = { start: switched, end: addMonthsAnchored(switched, 12, 11) };
  const order = { ...base('switch', 'yearly', switched), period: null };
  const lines = [line({ ...order, amount: -1_300n }), line({ ...order, index: 1, amount: 49_000n })];
  const of = billing({ periods: [year], lines });
  expect(entitlementOf(of).unplaced.get('switch')?.code).toBe('cycle_unknown');
  expect(kept(of)['2040-01-11']).toBe(0);
});

test('a line without a period is for the period in which its order was created, never for a later one', () => {
  const old = line({ orderId: 'old', orderPlan: 'starter', orderedAt: seconds(january.start, 5) });
  expect(kept(billing({ periods: [january, february], lines: [old] }))).toEqual({
    '2040-01-01': 2_000,
    '2040-02-01': 0,
  });
  const of = billing({ periods: [february], lines: [old] });
  expect(kept(of)).toEqual({ '2040-02-01': 0 });
  expect(entitlementOf(of).unplaced.get('old')?.code).toBe('cycle_unknown');
});

test.each([
  ['of last month', '2040-03-01', '2040-04-01'],
  ['of a period that is still open', '2040-03-20', '2040-04-20'],
])('a line that bills usage %s within a cycle begins no cycle', (_, start, end) => {
  const year = month('2040-01-01', 12);
  const first = line({ orderId: 'first', orderPlan: 'yearly', orderedAt: year.start, period: year });
  const usage = line({
    orderId: 'usage',
    orderPlan: 'yearly',
    orderedAt: at('2040-04-01'),
    amount: 137n,
    period: from(start, end),
  });
  for (const billsUsage of [true, false]) {
    const of = billing({ startedAt: year.start, periods: [year], lines: [first, { ...usage, billsUsage }] });
    expect(kept(of, at('2040-02-15'))).toEqual({ '2040-01-01': 12_000 });
    expect(entitlementOf(of).unplaced.get('usage')?.code).toBe('no_credits');
  }
});

test('a usage line beside the fixed line of a renewal has no effect, in any position', () => {
  const renewal = { orderId: 'second', orderPlan: 'starter', orderedAt: seconds(february.start, 1) };
  for (const [usage, fixed] of [
    [0, 1],
    [1, 0],
  ]) {
    const lines = [
      bought,
      line({ ...renewal, index: usage ?? 0, amount: 70n, period: january }),
      line({ ...renewal, index: fixed ?? 0, period: february }),
    ];
    expect(kept(billing({ periods: [january, february], lines }))).toEqual({
      '2040-01-01': 2_000,
      '2040-02-01': 2_000,
    });
  }
});

test('a period whose end Polar moved keeps its allotment, and a later change is a share until the new end', () => {
  const moved = from('2040-01-01', '2040-02-15');
  const up = at('2040-02-05');
  const lines = [bought, ...change('up', up, 'starter', 'pro', moved.end)];
  expect(kept(billing({ periods: [moved], lines }))['2040-01-01']).toBeCloseTo(2_000 + (4_000 * 10) / 45, 5);
  const shortened = from('2040-01-01', '2040-01-12');
  const early = [bought, ...change('up', at('2040-01-10'), 'starter', 'pro', shortened.end)];
  expect(kept(billing({ periods: [shortened], lines: early }))['2040-01-01']).toBeCloseTo(
    2_000 + (4_000 * 2) / 11,
    5,
  );
});

test('a trial’s free line grants nothing, and the first period after the trial grants the allotment', () => {
  const trial = from('2039-12-25', '2040-01-01');
  const lines = [
    line({
      orderId: 'trial',
      orderPlan: 'starter',
      orderedAt: trial.start,
      amount: 0n,
      period: trial,
      inTrial: true,
    }),
    bought,
  ];
  expect(kept(billing({ periods: [trial, january], lines }))).toEqual({
    '2039-12-25': 0,
    '2040-01-01': 2_000,
  });
});

test('the final invoice of an ended subscription starts no cycle', () => {
  const final = line({ orderId: 'final', orderPlan: 'starter', orderedAt: february.start, period: february });
  const of = billing({ endedAt: february.start, periods: [january, february], lines: [bought, final] });
  expect(kept(of)['2040-02-01']).toBe(0);
  expect(entitlementOf(of).unplaced.has('final')).toBe(false);
});

test('a downgrade that the next renewal bills takes from the cycle in which it was made', () => {
  const half = new Date((january.start.getTime() + january.end.getTime()) / 2);
  const order = { orderId: 'second', orderPlan: 'starter', orderedAt: seconds(february.start, 1) };
  const rest = { start: half, end: january.end };
  const lines = [
    { ...bought, orderPlan: 'pro' },
    line({ ...order, plan: 'pro', amount: -2_450n, proration: true, period: rest }),
    line({ ...order, index: 1, plan: 'starter', amount: 950n, proration: true, period: rest }),
    line({ ...order, index: 2, plan: 'starter', period: february }),
  ];
  const expected = { '2040-01-01': 4_000, '2040-02-01': 2_000 };
  expect(kept(billing({ periods: [january, february], lines }))).toEqual(expected);
  // Without periods, the amount determines the share.
  const older = lines.map((one) => (one.orderId === 'second' ? { ...one, period: null } : one));
  expect(kept(billing({ periods: [january, february], lines: older }))).toEqual(expected);
});

test('an upgrade that the next renewal bills is paid with it, and belongs to the cycle that it starts', () => {
  const half = new Date((january.start.getTime() + january.end.getTime()) / 2);
  const order = { orderId: 'second', orderPlan: 'pro', orderedAt: seconds(february.start, 1) };
  const rest = { start: half, end: january.end };
  const lines = [
    bought,
    line({ ...order, plan: 'starter', amount: -950n, proration: true, period: rest }),
    line({ ...order, index: 1, plan: 'pro', amount: 2_450n, proration: true, period: rest }),
    line({ ...order, index: 2, plan: 'pro', amount: 4_900n, period: february }),
  ];
  expect(kept(billing({ periods: [january, february], lines }))).toEqual({
    '2040-01-01': 2_000,
    '2040-02-01': 8_000,
  });
});

test('a change between yearly plans keeps dripping monthly, at the new rate', () => {
  const year = month('2040-01-01', 12);
  const first = line({ orderId: 'first', orderPlan: 'yearly_small', orderedAt: year.start, period: year });
  const up = at('2040-07-01');
  const lines = [first, ...change('up', up, 'yearly_small', 'yearly', year.end)];
  const of = billing({ startedAt: year.start, periods: [year], lines });
  const share = (year.end.getTime() - up.getTime()) / (year.end.getTime() - year.start.getTime());
  expect(kept(of)['2040-01-01']).toBeCloseTo(24_000 * (1 - share) + 72_000 * share, 4);
  const afterwards = kept(of, seconds(up, 60))['2040-01-01'] ?? 0;
  expect(afterwards).toBeGreaterThan(12_000);
  expect(afterwards).toBeLessThan(20_000);
});

test('a refund takes its share of an order’s credits, in addition to what the cycle’s changes take', () => {
  const half = new Date((january.start.getTime() + january.end.getTime()) / 2);
  const lines = [{ ...bought, orderPlan: 'pro' }, ...change('down', half, 'pro', 'starter', january.end)];
  const { cycles } = entitlementOf(billing({ periods: [january], lines }));
  const orders = new Map([
    ['first', { paid: 4_900n, reversed: 2_450n }],
    ['down', { paid: 0n, reversed: 0n }],
  ]);
  expect(cycles.map((cycle) => cycleTarget(cycle, orders, at('2099-01-01')))).toEqual([1_000n * credit]);
});
