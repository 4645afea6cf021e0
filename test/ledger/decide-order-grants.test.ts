import { expect, test } from '@jest/globals';
import type { Plan } from '../../catalog/schema.ts';
import {
  decidePackGrant,
  decidePlanGrants,
  type GrantedCycle,
  type PaidOrder,
} from '../../ledger/rules/decide-order-grants.ts';

const at = (text: string) => new Date(`${text}T10:00:00Z`);
const cycle = { start: at('2040-01-31'), end: at('2040-02-29') };
const plan: Plan = {
  key: 'pro_monthly',
  name: 'Pro',
  description: '',
  interval: 'month',
  price: { currency: 'usd', cents: 4900 },
  allotment: 6_000_000_000n,
  rhythm: 'cycle',
  archived: false,
};
const yearly: Plan = {
  ...plan,
  key: 'pro_yearly',
  interval: 'year',
  allotment: 72_000_000_001n,
  rhythm: 'monthly',
};
const subscription = {
  id: 'sub',
  currentPeriodStart: cycle.start,
  currentPeriodEnd: cycle.end,
  trialStart: null,
  trialEnd: null,
  endedAt: null,
};
const order = (more: Partial<PaidOrder> = {}): PaidOrder => ({
  id: 'order',
  createdAt: at('2040-01-31'),
  units: 1,
  lines: [{ amount: 4900n, proration: false, ...cycle }],
  subscription,
  ...more,
});
const proration = (start: Date | null, amount = 1000n) => ({
  amount,
  proration: true,
  start,
  end: start && cycle.end,
});
const fresh = { granted: [], anchorDay: 31 };
const after = (highest: bigint) => ({ granted: [{ ...cycle, highest }], anchorDay: 31 });
const grantsOf = (paid: PaidOrder, of: Plan, soFar: { granted: GrantedCycle[]; anchorDay: number }) => {
  const decided = decidePlanGrants(paid, of, soFar);
  return 'grants' in decided ? decided.grants : decided;
};

test('a pack grants its credits for each unit, from when it was ordered, under the order’s key', () => {
  const pack = {
    key: 'p',
    name: 'P',
    description: '',
    price: { currency: 'usd', cents: 1 },
    credits: 10n,
    archived: false,
  } as const;
  expect(decidePackGrant(order({ units: 3 }), pack)).toEqual({
    kind: 'purchase',
    businessKey: 'order:order',
    credits: 30n,
    effectiveAt: at('2040-01-31'),
    cycle: null,
  });
});

test('a paid cycle grants the allotment under the key of its start', () => {
  expect(grantsOf(order(), plan, fresh)).toEqual([
    {
      kind: 'allotment',
      businessKey: 'allotment:sub:2040-01-31T10:00:00.000Z',
      credits: 6_000_000_000n,
      cycle,
      effectiveAt: cycle.start,
    },
  ]);
});

test('a line without a period is of the subscription’s own', () => {
  const lines = [{ amount: 4900n, proration: false, start: null, end: null }];
  expect(grantsOf(order({ lines }), plan, fresh)).toMatchObject([{ kind: 'allotment', cycle }]);
});

test('a late renewal order is of the cycle that its line names, not of the one that runs by now', () => {
  const running = { ...subscription, currentPeriodStart: cycle.end, currentPeriodEnd: at('2040-03-31') };
  expect(grantsOf(order({ subscription: running }), plan, fresh)).toMatchObject([
    { businessKey: 'allotment:sub:2040-01-31T10:00:00.000Z', cycle },
  ]);
});

test('a yearly cycle that drips grants its first part', () => {
  const year = { start: at('2040-02-29'), end: at('2041-02-28') };
  const paid = order({ lines: [{ amount: 49000n, proration: false, ...year }] });
  expect(grantsOf(paid, yearly, { granted: [], anchorDay: 29 })).toMatchObject([
    { kind: 'allotment', credits: 6_000_000_001n, cycle: year },
  ]);
});

test.each<[string, PaidOrder, Plan, { granted: GrantedCycle[]; anchorDay: number }]>([
  ['an order of no subscription', order({ subscription: null }), plan, fresh],
  ['an order without lines', order({ lines: [] }), plan, fresh],
  [
    'a final invoice of a subscription that ended',
    order({ subscription: { ...subscription, endedAt: at('2040-01-31') } }),
    plan,
    fresh,
  ],
  [
    'a period that begins inside a Polar trial',
    order({ subscription: { ...subscription, trialStart: cycle.start, trialEnd: at('2040-02-07') } }),
    plan,
    fresh,
  ],
  [
    'a change to a plan with the same allotment',
    order({ lines: [proration(at('2040-02-10'))] }),
    plan,
    after(plan.allotment),
  ],
  [
    'a change to a smaller plan',
    order({ lines: [proration(at('2040-02-10'))] }),
    { ...plan, allotment: 1n },
    after(plan.allotment),
  ],
  [
    'a credit for unused time alone',
    order({ lines: [proration(at('2040-02-10'), -1000n)] }),
    plan,
    after(1n),
  ],
])('%s grants nothing', (_, paid, of, soFar) => {
  expect(decidePlanGrants(paid, of, soFar)).toMatchObject({ grants: [], because: expect.any(String) });
});

test('the period at which a trial is converted is granted', () => {
  const converted = { ...subscription, trialStart: at('2040-01-24'), trialEnd: cycle.start };
  expect(grantsOf(order({ subscription: converted }), plan, fresh)).toMatchObject([{ kind: 'allotment' }]);
});

test('a whole new cycle is granted also where its line calls itself a proration: a change of interval, a reset', () => {
  const lines = [proration(at('2040-01-20'), -300n), { amount: 4900n, proration: true, ...cycle }];
  expect(grantsOf(order({ lines }), plan, fresh)).toMatchObject([{ kind: 'allotment', cycle }]);
});

test('an upgrade at the very instant at which its cycle began earns the whole rise', () => {
  expect(grantsOf(order({ lines: [proration(cycle.start)] }), plan, after(2_000_000_000n))).toMatchObject([
    { kind: 'rise', credits: 4_000_000_000n, cycle },
  ]);
});

test('an upgrade of a cycle that has granted nothing yet waits for that cycle’s own payment', () => {
  expect(decidePlanGrants(order({ lines: [proration(at('2040-02-10'))] }), plan, fresh)).toHaveProperty(
    'waitsFor',
  );
});

test('an upgrade grants the prorated rise, rounded down, expiring with the cycle', () => {
  const start = new Date(cycle.start.getTime() + 1);
  const length = BigInt(cycle.end.getTime() - cycle.start.getTime());
  expect(
    grantsOf(order({ lines: [proration(start, -500n), proration(start)] }), plan, after(2_000_000_000n)),
  ).toEqual([
    {
      kind: 'rise',
      businessKey: 'order:order',
      credits: (4_000_000_000n * (length - 1n)) / length,
      cycle,
      effectiveAt: start,
    },
  ]);
});

test('an upgrade that is paid with the next renewal brings the allotment and the rise, both for the new cycle', () => {
  const next = { start: cycle.end, end: at('2040-03-31') };
  const half = new Date((cycle.start.getTime() + cycle.end.getTime()) / 2);
  const paid = order({
    lines: [proration(half), { amount: 4900n, proration: false, ...next }],
    subscription: { ...subscription, currentPeriodStart: next.start, currentPeriodEnd: next.end },
  });
  expect(grantsOf(paid, plan, after(2_000_000_000n))).toMatchObject([
    { kind: 'allotment', credits: 6_000_000_000n, cycle: next },
    { kind: 'rise', credits: 2_000_000_000n, cycle: next },
  ]);
});
