import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { balanceShares } from '../../web/billing/balance-shares.ts';
import { toDecimal } from '../../web/format/credits.ts';

const nothing = { trial: '0', subscription: '0', adjustment: '0', purchase: '0' };

test('the bar has one part for each source with credits, as long as its share', () => {
  expect(balanceShares(nothing)).toEqual([]);
  expect(balanceShares({ ...nothing, subscription: '750', purchase: '250' })).toEqual([
    { source: 'subscription', credits: '750', thousandths: 750 },
    { source: 'purchase', credits: '250', thousandths: 250 },
  ]);
});

test('a small part can be seen, and the longest one gives way', () => {
  const [trial, purchase] = balanceShares({ ...nothing, trial: '0.000001', purchase: '100000' });
  expect(trial?.thousandths).toBeGreaterThan(0);
  expect((trial?.thousandths ?? 0) + (purchase?.thousandths ?? 0)).toBe(1_000);
});

test('the parts always fill the whole bar', () => {
  const credits = fc.bigInt({ min: 0n, max: 10n ** 18n }).map(toDecimal);
  fc.assert(
    fc.property(
      fc.record({ trial: credits, subscription: credits, adjustment: credits, purchase: credits }),
      (bySource) => {
        const shares = balanceShares(bySource);
        const length = shares.reduce((sum, { thousandths }) => sum + thousandths, 0);
        expect(length).toBe(shares.length > 0 ? 1_000 : 0);
        for (const { thousandths } of shares) expect(thousandths).toBeGreaterThan(0);
      },
    ),
  );
});
