import { expect, test } from '@jest/globals';
import type { Schema } from '../../../web/data/schema.ts';
import { burnDownDays, burnDownShapes } from '../../../web/usage/burn-down.ts';

const credits = (amount: number) => BigInt(amount) * 1_000_000n;
const day = (number: number, changes: Partial<Schema<'BalanceDay'>>): Schema<'BalanceDay'> => ({
  day: `2026-11-0${number}`,
  granted: '0',
  consumed: '0',
  expired: '0',
  revoked: '0',
  settled: '0',
  available: '0',
  held: '0',
  ...changes,
});
const days = burnDownDays([
  day(1, { granted: '100', consumed: '20', available: '70', held: '10' }),
  day(2, { expired: '50', revoked: '7', settled: '3', available: '20' }),
]);

test('each day explains its change: came in, used, expired, taken back', () => {
  let before = 0n;
  for (const { cameIn, used, expired, takenBack, balance } of days) {
    expect(before + cameIn - used - expired - takenBack).toBe(balance);
    before = balance;
  }
  expect(days[1]?.takenBack).toBe(credits(10));
});

test('the line steps up where credits come in, and the axis reaches its top', () => {
  const { line, marks, ticks } = burnDownShapes(0n, days, 4, { width: 400, height: 100 });
  expect(line).toBe('M0 100V0L100 20L200 80');
  expect(ticks.at(-1)).toEqual({ credits: credits(100), y: 0 });
  expect(marks.map(({ place, kind }) => [place, kind])).toEqual([
    [0, 'cameIn'],
    [1, 'expired'],
    [1, 'takenBack'],
  ]);
});

test('a team without a history has a flat line', () => {
  expect(burnDownShapes(0n, [], 30, { width: 300, height: 100 }).line).toBe('M0 100');
});
