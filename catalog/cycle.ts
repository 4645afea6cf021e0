/**
 * The arithmetic of billing cycles: pure, in UTC, on absolute instants, safe inside a workflow. Each instant is
 * computed from a cycle's start and the subscription's stored anchor day, never from the previous instant. So 31
 * January, 28 February, 31 March does not drift to the 28th.
 */

/** `[start, end)`, as Polar reports it. */
export interface Cycle {
  start: Date;
  end: Date;
}

/**
 * The instant `months` calendar months after `start`, on `anchorDay` (1 to 31), at `start`'s time of day. In a month
 * that is too short, it is the month's last day.
 */
export function addMonthsAnchored(start: Date, months: number, anchorDay: number): Date {
  if (!Number.isInteger(anchorDay) || anchorDay < 1 || anchorDay > 31) {
    throw new RangeError(`anchorDay is 1 to 31, not ${anchorDay}`);
  }
  if (!Number.isInteger(months)) throw new RangeError(`months must be an integer, not ${months}`);
  if (Number.isNaN(start.getTime())) throw new RangeError('start must be a valid date');
  const result = new Date(start);
  result.setUTCDate(1);
  result.setUTCMonth(result.getUTCMonth() + months);
  result.setUTCDate(Math.min(anchorDay, daysInMonth(result)));
  return result;
}

/**
 * The day of the month to which a subscription's cycles return after short months: the day of `startedOn` if the
 * cycle's start and end match it; else the later day of its start and end if both match that (28 February to 30 March:
 * the 30th); else the start's day. Computed from one cycle and the start date only, so the order of events does not
 * matter.
 */
export function anchorDayOf({ start, end }: Cycle, startedOn: Date): number {
  const keepsTo = (day: number) =>
    [start, end].every((at) => addMonthsAnchored(at, 0, day).getTime() === at.getTime());
  const days = [startedOn.getUTCDate(), Math.max(start.getUTCDate(), end.getUTCDate())];
  return days.find(keepsTo) ?? start.getUTCDate();
}

/**
 * When the parts of a monthly dripped allotment arrive: at the cycle's start and then monthly on the anchor day,
 * before its end. 12 for a year and 1 for a month, even if the cycle does not start on the anchor day or Polar's end
 * differs from ours by some hours. A 13th drip that lives for a second would take a 13th of the credits.
 */
export function dripInstants(cycle: Cycle, anchorDay: number): Date[] {
  const months = Math.max(1, Math.round(length(cycle) / AVERAGE_MONTH));
  return Array.from({ length: months }, (_, month) =>
    month === 0 ? new Date(cycle.start) : addMonthsAnchored(cycle.start, month, anchorDay),
  ).filter((at) => at < cycle.end);
}

/**
 * Splits `total` micro-credits into `parts` parts that differ by at most one micro-credit and sum exactly to it. The
 * earlier parts are the larger ones.
 */
export function splitAllotment(total: bigint, parts: number): bigint[] {
  if (!Number.isInteger(parts) || parts < 1)
    throw new RangeError(`parts must be a positive integer, not ${parts}`);
  if (total < 0n) throw new RangeError('an allotment must not be negative');
  const base = total / BigInt(parts);
  const remainder = Number(total % BigInt(parts));
  return Array.from({ length: parts }, (_, part) => (part < remainder ? base + 1n : base));
}

// 400 Gregorian years have 146,097 days.
const AVERAGE_MONTH = (146_097 / 4_800) * 86_400_000;

function length(cycle: Cycle): number {
  const milliseconds = cycle.end.getTime() - cycle.start.getTime();
  if (!(milliseconds > 0)) throw new RangeError('a cycle must end after it starts');
  return milliseconds;
}

function daysInMonth(date: Date): number {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
}
