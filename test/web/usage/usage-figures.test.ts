import { expect, test } from '@jest/globals';
import { usageFigures } from '../../../web/usage/usage-figures.ts';

const dayMs = 86_400_000;
const range = { from: 0, to: 30 * dayMs };

test('after ten of thirty days, the average of ten days is expected for thirty', () => {
  expect(usageFigures(100_000_001n, 80_000_000n, range, 10 * dayMs)).toEqual({
    used: 100_000_001n,
    before: 80_000_000n,
    changePerMille: 250,
    perDay: 10_000_000n,
    expected: 300_000_003n,
  });
});

test('a range that has ended has an average and nothing to expect', () => {
  const figures = usageFigures(60n, 120n, range, 40 * dayMs);
  expect([figures.perDay, figures.expected, figures.changePerMille]).toEqual([2n, null, -500]);
});

test('in its first hour a range has no average, on its first day nothing is expected', () => {
  expect(usageFigures(5n, null, range, 60_000)).toMatchObject({
    perDay: null,
    expected: null,
    changePerMille: null,
  });
  expect(usageFigures(5n, 0n, range, dayMs / 2)).toMatchObject({
    perDay: 10n,
    expected: null,
    changePerMille: null,
  });
});

test('amounts beyond the exact range of floats stay exact', () => {
  const used = 9_007_199_254_740_993n;
  expect(usageFigures(used, null, range, 15 * dayMs).expected).toBe(2n * used);
});
