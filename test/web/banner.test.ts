import { expect, test } from '@jest/globals';
import { type BannerFacts, chooseBanner, thresholdCredits } from '../../web/billing/banner.ts';

const asOf = '2026-03-01T00:00:00.000Z';
const cycle = { start: '2026-02-15T00:00:00.000Z', end: '2026-03-15T00:00:00.000Z' };
const plan = { cycle, cancelAtPeriodEnd: false, nextAllotment: null, paymentDue: null };
const calm: BannerFacts = {
  balance: { available: '1000', asOf },
  forecast: { expiring: [], runsOutAt: null },
  subscription: plan,
  alerts: { lowBalance: ['20%', '100'], percentOf: '2000' },
};
const expiring = { at: '2026-03-08T00:00:00.000Z', credits: '300', unused: '120.5' };
const pastDue = { ...plan, paymentDue: { since: asOf, credits: '2000' } };
const ending = { ...plan, cancelAtPeriodEnd: true };

test('a team with enough credits has no banner', () => {
  expect(chooseBanner(calm)).toBeNull();
  expect(chooseBanner({ ...calm, subscription: null })).toBeNull();
});

test('only the worst fact is shown: past due, used up, low, expiring, the plan ends', () => {
  const facts: BannerFacts = {
    ...calm,
    balance: { available: '0', asOf },
    forecast: { expiring: [expiring], runsOutAt: expiring.at },
    subscription: { ...pastDue, cancelAtPeriodEnd: true },
  };
  expect(chooseBanner(facts)?.kind).toBe('pastDue');
  const paid = { ...facts, subscription: ending };
  expect(chooseBanner(paid)?.kind).toBe('usedUp');
  const low = { ...paid, balance: { available: '399.999999', asOf } };
  expect(chooseBanner(low)).toEqual({ kind: 'low', available: '399.999999', lastsUntil: expiring.at });
  const enough = { ...low, balance: { available: '1000', asOf } };
  expect(chooseBanner(enough)).toEqual({ kind: 'expiring', ...expiring });
  const nothingExpires = { ...enough, forecast: calm.forecast };
  expect(chooseBanner(nothingExpires)).toEqual({ kind: 'endsOn', at: cycle.end });
});

test('credits are low at a threshold, in credits or as a share of the balance after credits last came in', () => {
  const kindAt = (available: string, lowBalance: string[]) =>
    chooseBanner({
      ...calm,
      balance: { available, asOf },
      alerts: { lowBalance, percentOf: '2000' },
    })?.kind;
  expect(kindAt('400', ['20%'])).toBe('low');
  expect(kindAt('400.000001', ['20%'])).toBeUndefined();
  expect(kindAt('100', ['100'])).toBe('low');
  expect(kindAt('1', [])).toBeUndefined();
  expect(thresholdCredits('33%', '0.00001')).toBe('0.000003');
});

test('credits that expire in more than 7 days, or will be used before, are no banner', () => {
  const withExpiring = (one: typeof expiring) =>
    chooseBanner({ ...calm, forecast: { expiring: [one], runsOutAt: null } });
  expect(withExpiring(expiring)?.kind).toBe('expiring');
  expect(withExpiring({ ...expiring, at: '2026-03-08T00:00:00.001Z' })).toBeNull();
  expect(withExpiring({ ...expiring, unused: '0' })).toBeNull();
});
