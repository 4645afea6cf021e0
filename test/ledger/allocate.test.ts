import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { allocate } from '../../ledger/rules/burn-order.ts';

const lots = (...available: bigint[]) =>
  available.map((credits, index) => ({ id: `${index}`, available: credits }));
const drawn = (available: bigint[], amount: bigint) => {
  const { draws, short } = allocate(lots(...available), amount);
  return { draws: draws.map(({ lot, credits }) => [lot.id, credits]), short };
};

test.each<[string, bigint[], bigint, { draws: [string, bigint][]; short: bigint }]>([
  ['one lot covers it', [10n], 4n, { draws: [['0', 4n]], short: 0n }],
  [
    'a lot is emptied before the next is touched',
    [10n, 10n],
    11n,
    {
      draws: [
        ['0', 10n],
        ['1', 1n],
      ],
      short: 0n,
    },
  ],
  ['an empty lot is passed over', [0n, 5n], 5n, { draws: [['1', 5n]], short: 0n }],
  [
    'what nobody covers is short',
    [3n, 4n],
    10n,
    {
      draws: [
        ['0', 3n],
        ['1', 4n],
      ],
      short: 3n,
    },
  ],
  ['without lots all is short', [], 7n, { draws: [], short: 7n }],
  ['nothing draws nothing', [5n], 0n, { draws: [], short: 0n }],
])('%s', (_, available, amount, expected) => {
  expect(drawn(available, amount)).toEqual(expected);
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
