import { expect, test } from '@jest/globals';
import { type BalanceDay, burnDownDays, burnDownShapes } from '../../../web/usage/burn-down.ts';

const credits = (amount: number) => BigInt(amount) * 1_000_000n;
const day = (number: number, changes: Partial<BalanceDay>): BalanceDay => ({
  day: `2026-11-0${number}`,
  granted: 0n,
  consumed: 0n,
  expired: 0n,
  revoked: 0n,
  settled: 0n,
  available: 0n,
  held: 0n,
  ...changes,
});
const days = burnDownDays([
  day(1, { granted: credits(100), consumed: credits(20), available: credits(70), held: credits(10) }),
  day(2, { expired: credits(50), revoked: credits(7), settled: credits(3), available: credits(20) }),
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
