import type { models } from '@polar-sh/sdk/2026-10';

const dayMs = 24 * 60 * 60 * 1000;

/**
 * The end of the period that starts at `start`. Months and years keep the day `anchorDay` if the month has it, else
 * they end on the month's last day (31 Jan → 28 Feb → 31 Mar), as Polar's `get_next_period` does.
 */
export function periodEnd(
  start: Date,
  anchorDay: number,
  interval: models.RecurringInterval,
  count: number,
): Date {
  if (interval === 'day') return new Date(start.getTime() + count * dayMs);
  if (interval === 'week') return new Date(start.getTime() + count * 7 * dayMs);
  const months = interval === 'month' ? count : 12 * count;
  const first = new Date(start);
  first.setUTCDate(1);
  first.setUTCMonth(first.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  first.setUTCDate(Math.min(anchorDay, lastDay));
  return first;
}

/** The share of `amount` cents for the rest of [start, end) at `now`, rounded to the nearest cent. */
export function prorate(amount: number, start: Date, end: Date, now: Date): number {
  const left = Math.max(0, end.getTime() - now.getTime());
  return Math.round((amount * left) / (end.getTime() - start.getTime()));
}
