import { expect, test } from '@jest/globals';
import { periodEnd, prorate } from '../../polar-emulator/periods.ts';

const day = (text: string) => new Date(`${text}T09:30:00.000Z`);

test.each([
  ['2026-01-31', 31, 'month', 1, '2026-02-28'],
  ['2026-02-28', 31, 'month', 1, '2026-03-31'],
  ['2028-01-31', 31, 'month', 1, '2028-02-29'],
  ['2026-12-30', 30, 'month', 1, '2027-01-30'],
  ['2026-11-30', 31, 'month', 3, '2027-02-28'],
  ['2028-02-29', 29, 'year', 1, '2029-02-28'],
  ['2031-02-28', 29, 'year', 1, '2032-02-29'],
  ['2026-01-31', 31, 'week', 2, '2026-02-14'],
  ['2026-01-31', 31, 'day', 1, '2026-02-01'],
] as const)(
  'a period from %s with the anchor %i, %s × %i, ends on %s',
  (start, anchor, interval, count, end) => {
    expect(periodEnd(day(start), anchor, interval, count)).toEqual(day(end));
  },
);

test('the rest of a period is prorated to the nearest cent, and is 0 after its end', () => {
  expect(prorate(1_900, day('2026-04-01'), day('2026-05-01'), day('2026-04-16'))).toBe(950);
  expect(prorate(1_000, day('2026-04-01'), day('2026-05-01'), day('2026-05-02'))).toBe(0);
});
