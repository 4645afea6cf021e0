import type { LocalDay } from './local-days.ts';

/** One row of a report by day and one other column. Null: usage without a value. */
export interface UsageCell {
  day: LocalDay;
  key: string | null;
  /** Micro-credits. */
  credits: bigint;
  events: number;
}

/** A key of the grouping, or the sum of all keys that have no bar of their own. */
export interface UsageSeries {
  /** Null: usage without a value. */
  key: string | null;
  isOther: boolean;
  /** Micro-credits of the whole range. */
  credits: bigint;
  events: number;
  /** Micro-credits of each day, in the order of the days. */
  byDay: bigint[];
}

export interface StackedUsage {
  days: LocalDay[];
  /** The series with bars, largest first; `other` is last. They are stacked in this order. */
  series: UsageSeries[];
  /** Every key, largest first. */
  keys: UsageSeries[];
  /** Micro-credits of each day. */
  byDay: bigint[];
  eventsByDay: number[];
  credits: bigint;
  events: number;
}

/** More bars than these cannot be told apart. */
export const mostSeries = 8;

/**
 * Sorts the cells of a report into one series per key, ranked by credits (equal ones by their key), and sums those after the
 * eighth as `other`. If there are nine keys, the ninth is shown and nothing is called other. Sums are exact.
 */
export function stackUsage(days: readonly LocalDay[], cells: readonly UsageCell[]): StackedUsage {
  const places = new Map(days.map((day, index) => [day, index]));
  const byKey = new Map<string | null, UsageSeries>();
  const total = emptySeries(null, days.length);
  const eventsByDay = days.map(() => 0);
  for (const { day, key, credits, events } of cells) {
    const place = places.get(day);
    if (place === undefined)
      throw new RangeError(`the report has a row for ${day}, which is not in its range`);
    const series = byKey.get(key) ?? emptySeries(key, days.length);
    byKey.set(key, series);
    addTo(series, place, credits, events);
    addTo(total, place, credits, events);
    eventsByDay[place] = (eventsByDay[place] ?? 0) + events;
  }
  const keys = [...byKey.values()].sort(byCredits);
  const shown = keys.length === mostSeries + 1 ? keys : keys.slice(0, mostSeries);
  const rest = keys.slice(shown.length);
  const series = rest.length === 0 ? shown : [...shown, sumOf(rest, days.length)];
  const { byDay, credits, events } = total;
  return { days: [...days], series, keys, byDay, eventsByDay, credits, events };
}

/** The same usage with only one key: what the filter of the legend leaves. */
export function onlyKey(usage: StackedUsage, key: string | null): StackedUsage {
  const series = usage.keys.find((known) => known.key === key) ?? emptySeries(key, usage.days.length);
  const { byDay, credits, events } = series;
  return { ...usage, series: [series], keys: usage.keys, byDay, credits, events };
}

function emptySeries(key: string | null, days: number): UsageSeries {
  return { key, isOther: false, credits: 0n, events: 0, byDay: Array.from({ length: days }, () => 0n) };
}

function addTo(series: UsageSeries, place: number, credits: bigint, events: number): void {
  series.credits += credits;
  series.events += events;
  series.byDay[place] = (series.byDay[place] ?? 0n) + credits;
}

function sumOf(rest: readonly UsageSeries[], days: number): UsageSeries {
  const other = { ...emptySeries(null, days), isOther: true };
  for (const { byDay, credits, events } of rest) {
    other.credits += credits;
    other.events += events;
    for (const [place, amount] of byDay.entries()) other.byDay[place] = (other.byDay[place] ?? 0n) + amount;
  }
  return other;
}

function byCredits(a: UsageSeries, b: UsageSeries): number {
  if (a.credits !== b.credits) return a.credits > b.credits ? -1 : 1;
  if (a.key === null || b.key === null) return a.key === null ? 1 : -1;
  return a.key < b.key ? -1 : 1;
}
