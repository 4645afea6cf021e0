import { addDays, daysBetween, type LocalDay, localDayAt, startOfDay } from './local-days.ts';

/** The ranges that have a name. */
export const presets = ['cycle', '7d', '30d', '90d', '12m'] as const;

/** What the reader chose. `own` has its first and last day, both included. */
export type RangeChoice =
  | { kind: (typeof presets)[number] }
  | { kind: 'own'; first: LocalDay; last: LocalDay };

/** The longest range of a report. A range of 400 local days may be an hour longer, so it is a day less. */
export const longestRangeDays = 399;

/** A range of local days, and its instants for the API in milliseconds since 1970. */
export interface DayRange {
  first: LocalDay;
  /** The last day of the range, which may lie in the future (a cycle's end). */
  last: LocalDay;
  from: number;
  /** Exclusive. */
  to: number;
}

export interface RangeContext {
  /** Milliseconds since 1970. */
  now: number;
  zone: string;
  /** The current cycle of the subscription; null: the cycle is the calendar month. */
  cycle: { start: number; end: number } | null;
}

/**
 * The days and instants of a choice. All ranges consist of complete local days, except a subscription's cycle, which begins
 * and ends at Polar's instants.
 */
export function rangeOf(choice: RangeChoice, { now, zone, cycle }: RangeContext): DayRange {
  const today = localDayAt(now, zone);
  switch (choice.kind) {
    case 'cycle':
      return cycle ? cycleRange(cycle, zone) : daysRange(monthStart(today), monthEnd(today), zone);
    case '7d':
      return daysRange(addDays(today, -6), today, zone);
    case '30d':
      return daysRange(addDays(today, -29), today, zone);
    case '90d':
      return daysRange(addDays(today, -89), today, zone);
    case '12m':
      return daysRange(addDays(yearBefore(today), 1), today, zone);
    case 'own':
      return daysRange(choice.first, choice.last, zone);
  }
}

/**
 * The period to compare with. A range of complete days is compared with as many days before it, up to the same time of day; a
 * cycle with the same time before it. Of a range that has not ended, only the part that has passed is compared. Null if
 * nothing of the range has passed.
 */
export function periodBefore(
  range: DayRange,
  now: number,
  zone: string,
): { from: number; to: number } | null {
  if (now <= range.from) return null;
  if (!startsAndEndsWithDays(range, zone)) {
    const from = range.from - (range.to - range.from);
    return { from, to: Math.min(range.from, from + now - range.from) };
  }
  const days = daysBetween(range.first, range.last) + 1;
  const from = startOfDay(addDays(range.first, -days), zone);
  if (now >= range.to) return { from, to: range.from };
  const today = localDayAt(now, zone);
  const sinceMidnight = now - startOfDay(today, zone);
  return { from, to: Math.min(range.from, startOfDay(addDays(today, -days), zone) + sinceMidnight) };
}

/** The days that have begun: of a range that ends in the future, those up to today. */
export function begunDays(
  range: DayRange,
  now: number,
  zone: string,
): { first: LocalDay; last: LocalDay } | null {
  const today = localDayAt(now, zone);
  if (range.first > today) return null;
  return { first: range.first, last: range.last < today ? range.last : today };
}

/** The part of a local day that lies in a range: a cycle begins and ends within a day. */
export function partOfDay(day: LocalDay, range: DayRange, zone: string): { from: number; to: number } {
  return {
    from: Math.max(range.from, startOfDay(day, zone)),
    to: Math.min(range.to, startOfDay(addDays(day, 1), zone)),
  };
}

/** A range of complete local days, both included. If it is too long, its last `longestRangeDays` days. */
export function daysRange(first: LocalDay, last: LocalDay, zone: string): DayRange {
  const start = daysBetween(first, last) >= longestRangeDays ? addDays(last, 1 - longestRangeDays) : first;
  return { first: start, last, from: startOfDay(start, zone), to: startOfDay(addDays(last, 1), zone) };
}

/** A yearly plan has a cycle of up to 366 days, which a report can cover. */
function cycleRange({ start, end }: { start: number; end: number }, zone: string): DayRange {
  return { first: localDayAt(start, zone), last: localDayAt(end - 1, zone), from: start, to: end };
}

function monthStart(day: LocalDay): LocalDay {
  return `${day.slice(0, 7)}-01`;
}

function monthEnd(day: LocalDay): LocalDay {
  return addDays(monthStart(addDays(monthStart(day), 31)), -1);
}

/** The same date a year earlier; for 29 February, the 28th. */
function yearBefore(day: LocalDay): LocalDay {
  const year = Number(day.slice(0, 4)) - 1;
  return day.slice(5) === '02-29' ? `${year}-02-28` : `${year}${day.slice(4)}`;
}

function startsAndEndsWithDays({ first, last, from, to }: DayRange, zone: string): boolean {
  return from === startOfDay(first, zone) && to === startOfDay(addDays(last, 1), zone);
}
