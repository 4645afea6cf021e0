import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { allocate } from '../../ledger/rules/burn-order.ts';

const lots = (...available: bigint[]) =>
  available.map((credits, index) => ({ id: `${index}`, available: credits }));

/** The draws as `lot: credits`. */
test.each<[string, bigint[], bigint, string[], bigint]>([
  ['one lot covers it', [10n], 4n, ['0: 4'], 0n],
  ['a lot is emptied before the next is touched', [10n, 10n], 11n, ['0: 10', '1: 1'], 0n],
  ['an empty lot is passed over', [0n, 5n], 5n, ['1: 5'], 0n],
  ['what nobody covers is short', [3n, 4n], 10n, ['0: 3', '1: 4'], 3n],
  ['without lots all is short', [], 7n, [], 7n],
  ['nothing draws nothing', [5n], 0n, [], 0n],
])('%s', (_, available, amount, drawn, missing) => {
  const { draws, short } = allocate(lots(...available), amount);
  expect(draws.map(({ lot, credits }) => `${lot.id}: ${credits}`)).toEqual(drawn);
  expect(short).toBe(missing);
});

test('the drawn and the missing credits add up to the amount, and no lot gives more than it has', () => {
  const credits = fc.bigInt({ min: 0n, max: 2n ** 62n });
  fc.assert(
    fc.property(fc.array(credits), credits, (available, amount) => {
      const { draws, short } = allocate(lots(...available), amount);
      expect(draws.reduce((sum, draw) => sum + draw.credits, short)).toBe(amount);
      for (const { lot, credits } of draws) expect(credits > 0n && credits <= lot.available).toBe(true);
      if (short > 0n)
        expect(draws.reduce((sum, draw) => sum + draw.credits, 0n)).toBe(
          available.reduce((a, b) => a + b, 0n),
        );
      expect(lots(...available).map((lot) => lot.available)).toEqual(available);
    }),
  );
});
