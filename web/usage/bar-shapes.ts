import { scaleLinear } from 'd3-scale';

/** The shapes of a chart of stacked bars, in pixels. Only these are floats: amounts stay exact. */
export interface BarShapes {
  /** One SVG path per series, with a rectangle for each of its days. */
  paths: string[];
  /** The value axis: a few round amounts, in micro-credits, and where they are. */
  ticks: { credits: bigint; y: number }[];
  /** The width of each day's place. */
  dayWidth: number;
}

const microPerCredit = 1_000_000;
const gapRatio = 0.2;
const widestGapPx = 8;
const widestBarPx = 48;

/**
 * Bars from the bottom up, in the order of the series. Amounts that are not zero are at least half a pixel high, so that a
 * day with usage is never shown as a day without.
 */
export function barShapes(
  series: readonly { byDay: readonly bigint[] }[],
  totals: readonly bigint[],
  size: { width: number; height: number },
): BarShapes {
  const dayWidth = totals.length === 0 ? size.width : size.width / totals.length;
  const barWidth = Math.min(widestBarPx, dayWidth - Math.min(widestGapPx, dayWidth * gapRatio));
  const { y, ticks } = creditScale(
    totals.reduce((most, total) => (total > most ? total : most), 0n),
    size.height,
  );
  const stacked = totals.map(() => 0n);
  const paths = series.map(({ byDay }) => {
    let path = '';
    for (const [day, credits] of byDay.entries()) {
      if (credits <= 0n) continue;
      const below = stacked[day] ?? 0n;
      const bottom = y(below);
      const top = Math.min(y(below + credits), bottom - 0.5);
      const x = day * dayWidth + (dayWidth - barWidth) / 2;
      path += `M${pixels(x)} ${pixels(bottom)}V${pixels(top)}h${pixels(barWidth)}V${pixels(bottom)}z`;
      stacked[day] = below + credits;
    }
    return path;
  });
  return { paths, ticks, dayWidth };
}

/** A scale from 0 at the bottom to a round amount at or above `most`, with about four round amounts. */
export function creditScale(
  most: bigint,
  height: number,
): { y: (credits: bigint) => number; ticks: { credits: bigint; y: number }[] } {
  const scale = scaleLinear()
    .domain([0, most <= 0n ? 1 : Number(most) / microPerCredit])
    .nice(4)
    .range([height, 0]);
  const y = (credits: bigint) => scale(Number(credits) / microPerCredit);
  const ticks = scale.ticks(4).map((credits) => ({
    credits: BigInt(Math.round(credits * microPerCredit)),
    y: scale(credits),
  }));
  return { y, ticks };
}

/** The day at a horizontal position, in [0, days). */
export function dayAt(x: number, dayWidth: number, days: number): number {
  return Math.max(0, Math.min(days - 1, Math.floor(x / dayWidth)));
}

/** The days that get a label: as many as there is room for, evenly spaced, counted from the last one. */
export function labelledDays(days: number, width: number, labelWidth: number): number[] {
  if (days === 0) return [];
  const step = Math.max(1, Math.ceil(days / Math.max(1, Math.floor(width / labelWidth))));
  const labelled: number[] = [];
  for (let day = days - 1; day >= 0; day -= step) labelled.unshift(day);
  return labelled;
}

/** A number of pixels for a path, rounded to hundredths. */
export function pixels(value: number): string {
  return String(Math.round(value * 100) / 100);
}
