import { expect, test } from '@jest/globals';
import type { Plan } from '../../catalog/schema.ts';
import { decidePackGrant, decidePlanGrant, type PaidOrder } from '../../ledger/decide-order-grant.ts';

const at = (text: string) => new Date(`${text}T10:00:00Z`);
const cycle = { start: at('2040-01-31'), end: at('2040-02-29') };
const plan: Plan = {
  key: 'pro_monthly',
  name: 'Pro',
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
};
const order = (more: Partial<PaidOrder> = {}): PaidOrder => ({
  id: 'order',
  createdAt: at('2040-01-31'),
  units: 1,
  lines: [{ proration: false, ...cycle }],
  subscription,
  ...more,
});
const proration = (start: Date | null) => ({ proration: true, start, end: start && cycle.end });
const fresh = { highestGranted: 0n, anchorDay: 31 };

test('a pack grants its credits for each unit, from when it was ordered, under the order’s key', () => {
  const pack = {
    key: 'p',
    name: 'P',
    price: { currency: 'usd', cents: 1 },
    credits: 10n,
    archived: false,
  } as const;
  expect(decidePackGrant(order({ units: 3 }), pack)).toEqual({
    kind: 'purchase',
    businessKey: 'order:order',
    credits: 30n,
    effectiveAt: at('2040-01-31'),
  });
});

test('a paid cycle grants the allotment under the key of its start', () => {
  expect(decidePlanGrant(order(), plan, fresh)).toEqual({
    kind: 'allotment',
    businessKey: 'allotment:sub:2040-01-31T10:00:00.000Z',
    credits: 6_000_000_000n,
    cycle,
    dripsMonthly: false,
    effectiveAt: cycle.start,
  });
});

test('a line without a period is of the subscription’s own', () => {
  const lines = [{ proration: false, start: null, end: null }];
  expect(decidePlanGrant(order({ lines }), plan, fresh)).toMatchObject({ kind: 'allotment', cycle });
});

test('a late renewal order is of the cycle that its line names, not of the one that runs by now', () => {
  const running = { ...subscription, currentPeriodStart: cycle.end, currentPeriodEnd: at('2040-03-31') };
  expect(decidePlanGrant(order({ subscription: running }), plan, fresh)).toMatchObject({
    businessKey: 'allotment:sub:2040-01-31T10:00:00.000Z',
    cycle,
  });
});

test('a yearly cycle that drips grants its first part', () => {
  const year = { start: at('2040-02-29'), end: at('2041-02-28') };
  const decided = decidePlanGrant(order({ lines: [{ proration: false, ...year }] }), yearly, {
    highestGranted: 0n,
    anchorDay: 29,
  });
  expect(decided).toMatchObject({
    kind: 'allotment',
    dripsMonthly: true,
    credits: 6_000_000_001n,
    cycle: year,
  });
});

test.each<[string, PaidOrder, Plan, { highestGranted: bigint; anchorDay: number }]>([
  ['an order of no subscription', order({ subscription: null }), plan, fresh],
  ['an order without lines: a final invoice of a cancellation', order({ lines: [] }), plan, fresh],
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
    { highestGranted: plan.allotment, anchorDay: 31 },
  ],
  [
    'a change to a smaller plan',
    order({ lines: [proration(at('2040-02-10'))] }),
    { ...plan, allotment: 1n },
    { highestGranted: plan.allotment, anchorDay: 31 },
  ],
  [
    'an upgrade at the very end of the cycle',
    order({ lines: [proration(cycle.end)] }),
    plan,
    { highestGranted: 1_000_000n, anchorDay: 31 },
  ],
])('%s grants nothing', (_, paid, of, soFar) => {
  expect(decidePlanGrant(paid, of, soFar)).toMatchObject({ kind: 'nothing' });
});

test('the period at which a trial is converted is granted', () => {
  const converted = { ...subscription, trialStart: at('2040-01-24'), trialEnd: cycle.start };
  expect(decidePlanGrant(order({ subscription: converted }), plan, fresh)).toMatchObject({
    kind: 'allotment',
  });
});

test('an upgrade grants the prorated rise, rounded down, expiring with the cycle', () => {
  const start = new Date(cycle.start.getTime() + 1);
  const decided = decidePlanGrant(order({ lines: [proration(start), proration(start)] }), plan, {
    highestGranted: 2_000_000_000n,
    anchorDay: 31,
  });
  const length = BigInt(cycle.end.getTime() - cycle.start.getTime());
  expect(decided).toEqual({
    kind: 'rise',
    businessKey: 'order:order',
    credits: (4_000_000_000n * (length - 1n)) / length,
    cycle,
    effectiveAt: start,
  });
});
