/** A date in a named time zone: `2026-01-31`. Days are compared as text. */
export type LocalDay = string;

const dayMs = 86_400_000;
/** No zone is farther from UTC. */
const farthestZoneMs = 15 * 3_600_000;
const firstYear = 2000;
const lastYear = 2199;

/** True for a real date between the years 2000 and 2199, in the form `2026-01-31`. */
export function isLocalDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== text) return false;
  const year = Number(text.slice(0, 4));
  return year >= firstYear && year <= lastYear;
}

/** True for `UTC` and for a region of the IANA database, such as `Europe/Berlin`: the zones that the API accepts. */
export function isTimeZone(name: string): boolean {
  if (name === 'UTC') return true;
  if (name.length > 64 || !/^[A-Za-z][\w-]*(\/[\w+-]+)+$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export function addDays(day: LocalDay, days: number): LocalDay {
  return new Date(utcMidnight(day) + days * dayMs).toISOString().slice(0, 10);
}

/** How many days `to` is after `from`. */
export function daysBetween(from: LocalDay, to: LocalDay): number {
  return Math.round((utcMidnight(to) - utcMidnight(from)) / dayMs);
}

/** Every day from `first` to `last`, both included. */
export function listDays(first: LocalDay, last: LocalDay): LocalDay[] {
  return Array.from({ length: Math.max(0, daysBetween(first, last) + 1) }, (_, index) =>
    addDays(first, index),
  );
}

/** The date in a zone at an instant (in milliseconds since 1970). */
export function localDayAt(instant: number, zone: string): LocalDay {
  const parts = new Map(
    dayFormat(zone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, value]),
  );
  return `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}`;
}

/**
 * The first instant of a day in a zone, in milliseconds since 1970. A change of the clocks can skip or repeat midnight,
 * so the instant is searched: the earliest one whose local date is this day or a later one.
 */
export function startOfDay(day: LocalDay, zone: string): number {
  let before = utcMidnight(day) - farthestZoneMs;
  let after = utcMidnight(day) + farthestZoneMs;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (localDayAt(middle, zone) < day) before = middle;
    else after = middle;
  }
  return after;
}

/** Midnight in UTC of a date, for arithmetic and for `Intl` formats with the time zone UTC. */
export function utcMidnight(day: LocalDay): number {
  return Date.parse(`${day}T00:00:00Z`);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function dayFormat(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
    formats.set(zone, format);
  }
  return format;
}
