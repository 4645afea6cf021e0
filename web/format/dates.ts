/** A day in the reader's time zone: 31 Dec 2026. */
export function formatDay(instant: string | Date, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium' }).format(new Date(instant));
}

/** A date as the API writes it (2026-12-31), the same in every time zone: 31 Dec 2026. */
export function formatDate(date: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC' }).format(new Date(date));
}

/** A day and a time in the reader's time zone: 31 Dec 2026, 14:05. */
export function formatInstant(instant: string | Date, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(
    new Date(instant),
  );
}
