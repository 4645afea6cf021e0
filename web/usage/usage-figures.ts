/** The figures above the chart. Credits in micro-credits, exact; divisions round half up to the micro-credit. */
export interface UsageFigures {
  used: bigint;
  /** The period before, as long as the part of the range that has passed; null: nothing to compare with. */
  before: bigint | null;
  /** The change against the period before in tenths of a percent; null: nothing was used before. */
  changePerMille: number | null;
  /** The average of the time that has passed; null before the first hour of the range. */
  perDay: bigint | null;
  /** At the end of the range, at this average; null if less than a day has passed or is left. */
  expected: bigint | null;
}

const dayMs = 86_400_000n;
/** An average over less time says nothing. */
const shortestAverageMs = 3_600_000n;
const shortestForecastMs = dayMs;
const mostPerMille = 9_999_999n;

/** @param range  instants in milliseconds since 1970 */
export function usageFigures(
  used: bigint,
  before: bigint | null,
  range: { from: number; to: number },
  now: number,
): UsageFigures {
  const passed = BigInt(Math.max(0, Math.min(now, range.to) - range.from));
  const whole = BigInt(range.to - range.from);
  return {
    used,
    before,
    changePerMille: before === null || before === 0n ? null : perMille(used - before, before),
    perDay: passed < shortestAverageMs ? null : divide(used * dayMs, passed),
    expected:
      whole - passed < shortestForecastMs || passed < shortestForecastMs
        ? null
        : divide(used * whole, passed),
  };
}

function perMille(change: bigint, of: bigint): number {
  const rounded = divide(change * 1000n, of);
  return Number(rounded > mostPerMille ? mostPerMille : rounded);
}

/** Rounds half up, away from zero for negative amounts. */
function divide(amount: bigint, by: bigint): bigint {
  return amount < 0n ? -divide(-amount, by) : (amount * 2n + by) / (by * 2n);
}
