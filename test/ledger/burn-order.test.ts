import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { grantSources } from '../../database/entities/grant.ts';
import { type Burnable, compareBurnOrder } from '../../ledger/rules/burn-order.ts';

const day = (day: number) => new Date(Date.UTC(2040, 0, day));
const grant = (businessKey: string, more: Partial<Burnable> = {}): Burnable => ({
  source: 'purchase',
  businessKey,
  effectiveAt: day(1),
  expiresAt: null,
  ...more,
});

test.each<[string, Burnable[]]>([
  [
    'the soonest expiry goes first, lifetime last',
    [grant('c', { expiresAt: day(2) }), grant('b', { expiresAt: day(9) }), grant('a')],
  ],
  [
    'of one expiry: trial, subscription, adjustment, purchase',
    [
      grant('d', { source: 'trial' }),
      grant('c', { source: 'subscription' }),
      grant('b', { source: 'adjustment' }),
      grant('a', { source: 'purchase' }),
    ],
  ],
  [
    'an expiry counts more than a source',
    [
      grant('b', { source: 'purchase', expiresAt: day(2) }),
      grant('a', { source: 'trial', expiresAt: day(3) }),
    ],
  ],
  [
    'of one source: what became effective first',
    [grant('b', { effectiveAt: day(1) }), grant('a', { effectiveAt: day(2) })],
  ],
  ['of one instant: the smaller business key', [grant('order:1'), grant('order:10'), grant('order:2')]],
])('%s', (_, expected) => {
  expect([...expected].reverse().sort(compareBurnOrder)).toEqual(expected);
});

test('different grants never tie, and the order does not depend on the initial order', () => {
  const burnable = fc.record({
    source: fc.constantFrom(...grantSources),
    businessKey: fc.string({ minLength: 1, maxLength: 3 }),
    effectiveAt: fc.integer({ min: 1, max: 3 }).map(day),
    expiresAt: fc.option(fc.integer({ min: 1, max: 3 }).map(day)),
  });
  fc.assert(
    fc.property(fc.uniqueArray(burnable, { selector: (one) => one.businessKey, maxLength: 12 }), (grants) => {
      const sorted = grants.toSorted(compareBurnOrder);
      expect(grants.toReversed().sort(compareBurnOrder)).toEqual(sorted);
      for (const [index, one] of sorted.entries())
        for (const later of sorted.slice(index + 1)) expect(compareBurnOrder(one, later)).toBeLessThan(0);
    }),
  );
});
