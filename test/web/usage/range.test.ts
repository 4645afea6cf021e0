import { expect, test } from '@jest/globals';
import { begunDays, partOfDay, periodBefore, type RangeChoice, rangeOf } from '../../../web/usage/range.ts';

const now = Date.parse('2026-11-18T12:30:00Z');
const zone = 'Europe/Berlin';
const at = (instant: number | undefined) => (instant === undefined ? null : new Date(instant).toISOString());

test.each<[RangeChoice, string, string, string, string]>([
  [{ kind: '7d' }, '2026-11-12', '2026-11-18', '2026-11-11T23:00:00.000Z', '2026-11-18T23:00:00.000Z'],
  // The clocks went back on 25 October: the start is 22:00 UTC, the end 23:00 UTC.
  [{ kind: '30d' }, '2026-10-20', '2026-11-18', '2026-10-19T22:00:00.000Z', '2026-11-18T23:00:00.000Z'],
  [{ kind: '90d' }, '2026-08-21', '2026-11-18', '2026-08-20T22:00:00.000Z', '2026-11-18T23:00:00.000Z'],
  [{ kind: '12m' }, '2025-11-19', '2026-11-18', '2025-11-18T23:00:00.000Z', '2026-11-18T23:00:00.000Z'],
  [
    { kind: 'own', first: '2026-03-29', last: '2026-03-29' },
    '2026-03-29',
    '2026-03-29',
    '2026-03-28T23:00:00.000Z',
    '2026-03-29T22:00:00.000Z',
  ],
  // Without a subscription, the cycle is the calendar month.
  [{ kind: 'cycle' }, '2026-11-01', '2026-11-30', '2026-10-31T23:00:00.000Z', '2026-11-30T23:00:00.000Z'],
])('the range %j is made of complete days in the zone', (choice, first, last, from, to) => {
  const range = rangeOf(choice, { now, zone, cycle: null });
  expect([range.first, range.last, at(range.from), at(range.to)]).toEqual([first, last, from, to]);
});

const cycle = { start: Date.parse('2026-11-05T14:00:00Z'), end: Date.parse('2026-12-05T14:00:00Z') };

test('a subscription’s cycle keeps Polar’s instants', () => {
  const range = rangeOf({ kind: 'cycle' }, { now, zone, cycle });
  expect(range).toEqual({ first: '2026-11-05', last: '2026-12-05', from: cycle.start, to: cycle.end });
  expect(begunDays(range, now, zone)).toEqual({ first: '2026-11-05', last: '2026-11-18' });
});

test('of the days on which a cycle begins and ends, only the part in the cycle belongs to it', () => {
  const range = rangeOf({ kind: 'cycle' }, { now, zone, cycle });
  const parts = ['2026-11-05', '2026-11-06', '2026-12-05'].map((day) => partOfDay(day, range, zone));
  expect(parts.map(({ from, to }) => [at(from), at(to)])).toEqual([
    ['2026-11-05T14:00:00.000Z', '2026-11-05T23:00:00.000Z'],
    ['2026-11-05T23:00:00.000Z', '2026-11-06T23:00:00.000Z'],
    ['2026-12-04T23:00:00.000Z', '2026-12-05T14:00:00.000Z'],
  ]);
});

test('complete days are compared with as many days before them, up to the same time of day', () => {
  const week = rangeOf({ kind: '7d' }, { now, zone, cycle: null });
  const before = periodBefore(week, now, zone);
  expect([at(before?.from), at(before?.to)]).toEqual([
    '2026-11-04T23:00:00.000Z',
    '2026-11-11T12:30:00.000Z',
  ]);
  // Over the change of the clocks the time of day stays the same: 13:30 in Berlin.
  const month = rangeOf({ kind: '30d' }, { now, zone, cycle: null });
  expect(at(periodBefore(month, now, zone)?.to)).toBe('2026-10-19T11:30:00.000Z');
});

test('a range that has ended is compared as a whole, and one in the future with nothing', () => {
  const past = rangeOf({ kind: 'own', first: '2026-05-01', last: '2026-05-10' }, { now, zone, cycle: null });
  const before = periodBefore(past, now, zone);
  expect([at(before?.from), before?.to]).toEqual(['2026-04-20T22:00:00.000Z', past.from]);
  const future = rangeOf(
    { kind: 'own', first: '2027-05-01', last: '2027-05-10' },
    { now, zone, cycle: null },
  );
  expect(periodBefore(future, now, zone)).toBeNull();
  expect(begunDays(future, now, zone)).toBeNull();
});

test('a cycle is compared with the same part of the time before it', () => {
  const range = rangeOf({ kind: 'cycle' }, { now, zone, cycle });
  const before = periodBefore(range, now, zone);
  expect([at(before?.from), at(before?.to)]).toEqual([
    '2026-10-06T14:00:00.000Z',
    '2026-10-19T12:30:00.000Z',
  ]);
});
