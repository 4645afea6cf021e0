import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addMonthsAnchored, anchorDayOf, dripInstants, splitAllotment } from '../../catalog/cycle.ts';

const at = (text: string) => new Date(text);
const days = (dates: Date[]) => dates.map((date) => date.toISOString().slice(0, 10));
const starts = fc.date({
  min: at('2000-01-01T00:00:00Z'),
  max: at('2120-01-01T00:00:00Z'),
  noInvalidDate: true,
});
/** The end of the cycle that begins at `start`, at Polar. */
const cycleEnd = (start: Date, interval: 'month' | 'year', anchorDay: number) =>
  addMonthsAnchored(start, interval === 'year' ? 12 : 1, anchorDay);

describe('a cycle', () => {
  test('that starts on the 31st ends on the last day of short months and returns to the 31st', () => {
    const start = at('2026-01-31T10:20:30.456Z');
    expect([1, 2, 3, 4, 12, 13].map((months) => addMonthsAnchored(start, months, 31).toISOString())).toEqual([
      '2026-02-28T10:20:30.456Z',
      '2026-03-31T10:20:30.456Z',
      '2026-04-30T10:20:30.456Z',
      '2026-05-31T10:20:30.456Z',
      '2027-01-31T10:20:30.456Z',
      '2027-02-28T10:20:30.456Z',
    ]);
  });

  test('keeps its anchor when it is continued from a short month', () => {
    expect(addMonthsAnchored(at('2026-02-28T00:00:00Z'), 1, 31)).toEqual(at('2026-03-31T00:00:00Z'));
    expect(addMonthsAnchored(at('2028-02-29T00:00:00Z'), 1, 30)).toEqual(at('2028-03-30T00:00:00Z'));
    expect(addMonthsAnchored(at('2026-03-31T00:00:00Z'), -1, 31)).toEqual(at('2026-02-28T00:00:00Z'));
  });

  test.each([
    ['2026-02-28', '2026-03-31', '2025-08-31', 31],
    ['2026-02-28', '2027-02-28', '2024-02-29', 29],
    ['2026-02-28', '2026-03-30', '2025-12-16', 30],
    ['2026-04-30', '2026-05-30', '2025-08-31', 30],
    ['2026-03-10', '2026-04-10', '2025-08-31', 10],
    ['2026-03-10', '2026-03-24', '2026-03-10', 10],
  ])('from %s to %s, of a subscription from %s, has the anchor day %i', (start, end, startedOn, day) => {
    expect(anchorDayOf({ start: at(start), end: at(end) }, at(startedOn))).toBe(day);
  });

  test('of a year from 29 February returns to the 29th in leap years', () => {
    let start = at('2024-02-29T12:00:00Z');
    const ends: Date[] = [];
    for (let year = 0; year < 4; year += 1) {
      start = cycleEnd(start, 'year', 29);
      ends.push(start);
    }
    expect(days(ends)).toEqual(['2025-02-28', '2026-02-28', '2027-02-28', '2028-02-29']);
    expect(days([addMonthsAnchored(at('2096-02-29T00:00:00Z'), 48, 29)])).toEqual(['2100-02-28']);
  });

  test('computed step by step ends where one step ends, for every anchor', () => {
    fc.assert(
      fc.property(starts, fc.integer({ min: 1, max: 60 }), (start, months) => {
        const anchorDay = start.getUTCDate();
        let chained = start;
        for (let month = 0; month < months; month += 1) {
          const next = addMonthsAnchored(chained, 1, anchorDay);
          expect(next.getTime() - chained.getTime()).toBeGreaterThanOrEqual(28 * 86_400_000);
          expect(next.getTime() - chained.getTime()).toBeLessThanOrEqual(31 * 86_400_000);
          chained = next;
        }
        const once = addMonthsAnchored(start, months, anchorDay);
        expect(once).toEqual(chained);
        expect(once.getTime() % 86_400_000).toBe(start.getTime() % 86_400_000);
        const lastDay = new Date(Date.UTC(once.getUTCFullYear(), once.getUTCMonth() + 1, 0)).getUTCDate();
        expect(once.getUTCDate()).toBe(Math.min(anchorDay, lastDay));
      }),
    );
  });

  test('does not change its argument', () => {
    const start = at('2026-01-31T00:00:00Z');
    addMonthsAnchored(start, 1, 31);
    expect(start).toEqual(at('2026-01-31T00:00:00Z'));
  });

  test.each([0, 32, 1.5, Number.NaN])('has no anchor day %p', (anchorDay) => {
    expect(() => addMonthsAnchored(at('2026-01-31T00:00:00Z'), 1, anchorDay)).toThrow(RangeError);
  });

  test('is computed only from dates and whole months', () => {
    expect(() => addMonthsAnchored(new Date(Number.NaN), 1, 1)).toThrow(RangeError);
    expect(() => addMonthsAnchored(at('2026-01-31T00:00:00Z'), 0.5, 1)).toThrow(RangeError);
  });
});

describe('the drips of a year', () => {
  test('that starts on 29 February fall on the 29th and on the last day of the next February', () => {
    const start = at('2024-02-29T08:00:00Z');
    const drips = dripInstants({ start, end: cycleEnd(start, 'year', 29) }, 29);
    expect(days(drips)).toEqual([
      ...['2024-02-29', '2024-03-29', '2024-04-29', '2024-05-29', '2024-06-29', '2024-07-29'],
      ...['2024-08-29', '2024-09-29', '2024-10-29', '2024-11-29', '2024-12-29', '2025-01-29'],
    ]);
    const next = { start: at('2025-02-28T08:00:00Z'), end: at('2026-02-28T08:00:00Z') };
    expect(days(dripInstants(next, 29)).slice(0, 3)).toEqual(['2025-02-28', '2025-03-29', '2025-04-29']);
  });

  test('are twelve, ascending, inside the cycle, the first at its start, for every start and anchor', () => {
    fc.assert(
      fc.property(starts, fc.integer({ min: 1, max: 31 }), (start, anchorDay) => {
        const cycle = { start, end: cycleEnd(start, 'year', start.getUTCDate()) };
        const drips = dripInstants(cycle, anchorDay);
        expect(drips).toHaveLength(12);
        expect(drips[0]).toEqual(start);
        for (const [index, drip] of drips.entries()) {
          expect(drip < cycle.end).toBe(true);
          if (index > 0) expect(drip.getTime()).toBeGreaterThan(drips[index - 1]?.getTime() ?? Number.NaN);
        }
      }),
    );
  });

  test('stay twelve if Polar’s end of the year differs by some hours', () => {
    const start = at('2026-01-31T23:59:59.900Z');
    for (const end of ['2027-01-31T20:00:00Z', '2027-02-01T00:00:01Z', '2027-02-01T04:00:00Z']) {
      expect(dripInstants({ start, end: at(end) }, 31)).toHaveLength(12);
    }
  });

  test('are one in a monthly cycle', () => {
    fc.assert(
      fc.property(starts, (start) => {
        const cycle = { start, end: cycleEnd(start, 'month', start.getUTCDate()) };
        expect(dripInstants(cycle, start.getUTCDate())).toEqual([start]);
      }),
    );
  });

  test('need a cycle whose end is after its start', () => {
    const start = at('2026-01-31T00:00:00Z');
    expect(() => dripInstants({ start, end: start }, 31)).toThrow(RangeError);
    expect(() => dripInstants({ start, end: new Date(Number.NaN) }, 31)).toThrow(RangeError);
  });
});

describe('an allotment', () => {
  test('is split into parts that sum exactly to it, differ by at most one, the larger first', () => {
    expect(splitAllotment(100n, 12)).toEqual([9n, 9n, 9n, 9n, 8n, 8n, 8n, 8n, 8n, 8n, 8n, 8n]);
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 18n }),
        fc.integer({ min: 1, max: 60 }),
        (total, parts) => {
          const split = splitAllotment(total, parts);
          expect(split).toHaveLength(parts);
          expect(split.reduce((sum, part) => sum + part, 0n)).toBe(total);
          const [first = 0n, last = 0n] = [split[0], split.at(-1)];
          expect(first - last === 0n || first - last === 1n).toBe(true);
          expect(split).toEqual([...split].sort((a, b) => (a < b ? 1 : a > b ? -1 : 0)));
        },
      ),
    );
  });

  test('is never split into zero parts, and never negative', () => {
    for (const parts of [0, -1, 1.5, Number.NaN]) expect(() => splitAllotment(1n, parts)).toThrow(RangeError);
    expect(() => splitAllotment(-1n, 2)).toThrow(RangeError);
  });
});
