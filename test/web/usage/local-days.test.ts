import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addDays,
  daysBetween,
  isLocalDay,
  isTimeZone,
  listDays,
  localDayAt,
  startOfDay,
} from '../../../web/usage/local-days.ts';

const hourMs = 3_600_000;
const startsAt = (day: string, zone: string) => new Date(startOfDay(day, zone)).toISOString();

test('a day starts at its first instant in the zone, also when the clocks change', () => {
  expect(startsAt('2026-01-31', 'UTC')).toBe('2026-01-31T00:00:00.000Z');
  expect(startsAt('2026-01-31', 'Asia/Kathmandu')).toBe('2026-01-30T18:15:00.000Z');
  expect(startsAt('2026-07-01', 'Pacific/Kiritimati')).toBe('2026-06-30T10:00:00.000Z');
  // Berlin, 29 March 2026: 23 hours; 25 October 2026: 25 hours.
  expect(startOfDay('2026-03-30', 'Europe/Berlin') - startOfDay('2026-03-29', 'Europe/Berlin')).toBe(
    23 * hourMs,
  );
  expect(startOfDay('2026-10-26', 'Europe/Berlin') - startOfDay('2026-10-25', 'Europe/Berlin')).toBe(
    25 * hourMs,
  );
  // Havana's clocks go forward at midnight, so the day begins at 01:00; in November midnight happens twice.
  expect(startsAt('2026-03-08', 'America/Havana')).toBe('2026-03-08T05:00:00.000Z');
  expect(startsAt('2026-11-01', 'America/Havana')).toBe('2026-11-01T04:00:00.000Z');
});

test('each instant lies in the day that starts at or before it, in every zone', () => {
  const zones = [
    'UTC',
    'Europe/Berlin',
    'America/Havana',
    'Asia/Beirut',
    'Australia/Lord_Howe',
    'Africa/Cairo',
  ];
  const instants = fc.integer({ min: Date.parse('2024-01-01'), max: Date.parse('2028-01-01') });
  fc.assert(
    fc.property(instants, fc.constantFrom(...zones), (instant, zone) => {
      const day = localDayAt(instant, zone);
      expect(startOfDay(day, zone)).toBeLessThanOrEqual(instant);
      expect(startOfDay(addDays(day, 1), zone)).toBeGreaterThan(instant);
      expect(localDayAt(startOfDay(day, zone), zone)).toBe(day);
    }),
    { numRuns: 200 },
  );
});

test('days are counted over months and leap years', () => {
  expect(listDays('2028-02-27', '2028-03-01')).toEqual([
    '2028-02-27',
    '2028-02-28',
    '2028-02-29',
    '2028-03-01',
  ]);
  expect(daysBetween('2027-12-31', '2028-12-31')).toBe(366);
  expect(listDays('2026-02-02', '2026-02-01')).toEqual([]);
});

test('only real dates and zones of the IANA database are accepted', () => {
  for (const text of ['2026-02-30', '2026-13-01', '1999-12-31', '2200-01-01', '20260101', '2026-1-1', '']) {
    expect(isLocalDay(text)).toBe(false);
  }
  expect(isLocalDay('2028-02-29')).toBe(true);
  for (const name of ['EST', '+02:00', 'Etc/Nowhere', 'Europe/', `A/${'b'.repeat(80)}`, '../etc', '']) {
    expect(isTimeZone(name)).toBe(false);
  }
  expect(isTimeZone('UTC')).toBe(true);
  expect(isTimeZone('America/Argentina/Buenos_Aires')).toBe(true);
});
