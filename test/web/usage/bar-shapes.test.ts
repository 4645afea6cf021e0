import { expect, test } from '@jest/globals';
import { barShapes, creditScale, dayAt, labelledDays } from '../../../web/usage/bar-shapes.ts';

const credits = (amount: number) => BigInt(amount) * 1_000_000n;
const size = { width: 300, height: 100 };

test('bars stand on one another and end at the day’s total', () => {
  const series = [{ byDay: [credits(40), 0n] }, { byDay: [credits(60), credits(50)] }];
  const { paths, ticks, dayWidth } = barShapes(series, [credits(100), credits(50)], size);
  expect(dayWidth).toBe(150);
  expect(paths[0]).toBe('M51 100V60h48V100z');
  expect(paths[1]).toBe('M51 60V0h48V60zM201 100V50h48V100z');
  expect(ticks[0]).toEqual({ credits: 0n, y: 100 });
  expect(ticks.at(-1)).toEqual({ credits: credits(100), y: 0 });
});

test('the smallest usage is visible, and no usage draws nothing', () => {
  const { paths } = barShapes([{ byDay: [1n, 0n, credits(1_000_000)] }], [1n, 0n, credits(1_000_000)], size);
  expect(paths[0]?.match(/M/g)).toHaveLength(2);
  expect(paths[0]).toContain('V99.5');
  expect(barShapes([{ byDay: [0n] }], [0n], size).paths).toEqual(['']);
});

test('amounts far below a credit have a scale of their own', () => {
  const { ticks } = creditScale(37n, 100);
  expect(ticks[0]?.credits).toBe(0n);
  expect(ticks.at(-1)?.credits).toBe(40n);
});

test('every position belongs to a day of the range', () => {
  expect([-5, 0, 9.9, 10, 99, 500].map((x) => dayAt(x, 10, 10))).toEqual([0, 0, 0, 1, 9, 9]);
});

test('labels have room, and the last day has one', () => {
  expect(labelledDays(7, 700, 80)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(labelledDays(365, 800, 80)).toHaveLength(10);
  expect(labelledDays(365, 800, 80).at(-1)).toBe(364);
  expect(labelledDays(0, 800, 80)).toEqual([]);
});
