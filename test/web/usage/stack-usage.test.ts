import { expect, test } from '@jest/globals';
import { listDays } from '../../../web/usage/local-days.ts';
import { onlyKey, stackUsage, type UsageCell } from '../../../web/usage/stack-usage.ts';

const days = listDays('2026-11-01', '2026-11-03');
const cell = (key: string | null, credits: bigint, day = '2026-11-02', events = 1): UsageCell => ({
  day,
  key,
  credits,
  events,
});

test('keys are ranked by credits, equal ones by name, usage without a value last', () => {
  const usage = stackUsage(days, [
    cell('b', 2n),
    cell(null, 2n),
    cell('a', 2n),
    cell('c', 3n, '2026-11-01'),
    cell('c', 1n),
  ]);
  expect(usage.series.map(({ key, byDay }) => [key, byDay])).toEqual([
    ['c', [3n, 1n, 0n]],
    ['a', [0n, 2n, 0n]],
    ['b', [0n, 2n, 0n]],
    [null, [0n, 2n, 0n]],
  ]);
  expect(usage.byDay).toEqual([3n, 7n, 0n]);
  expect(usage.eventsByDay).toEqual([1, 4, 0]);
});

test('the eight largest keys have bars, the others are summed exactly', () => {
  const large = 9_007_199_254_740_993n; // 2^53 + 1, which a float cannot hold
  const usage = stackUsage(
    days,
    Array.from({ length: 12 }, (_, index) => cell(`key-${index}`, large + BigInt(index))),
  );
  expect(usage.series).toHaveLength(9);
  const other = usage.series.at(-1);
  expect([other?.isOther, other?.credits, other?.events]).toEqual([true, 4n * large + 6n, 4]);
  expect(usage.series.reduce((sum, { credits }) => sum + credits, 0n)).toBe(usage.credits);
  expect(usage.keys).toHaveLength(12);
});

test('a single key after the eighth is shown by its name', () => {
  const usage = stackUsage(
    days,
    Array.from({ length: 9 }, (_, index) => cell(`key-${index}`, 1n)),
  );
  expect(usage.series.map(({ isOther }) => isOther)).not.toContain(true);
});

test('the filter of the legend leaves one key, and its sums', () => {
  const usage = onlyKey(stackUsage(days, [cell('a', 5n), cell('b', 2n, '2026-11-03', 7)]), 'b');
  expect([usage.credits, usage.events, usage.byDay]).toEqual([2n, 7, [0n, 0n, 2n]]);
  expect(usage.keys.map(({ key }) => key)).toEqual(['a', 'b']);
  expect(onlyKey(usage, 'gone').credits).toBe(0n);
});

test('a row outside the range is an error, not a lost amount', () => {
  expect(() => stackUsage(days, [cell('a', 1n, '2026-12-01')])).toThrow(RangeError);
});
