/**
 * The arithmetic of billing cycles: pure, in UTC, on absolute instants, safe inside a workflow. Every instant is
 * computed from a cycle's start and the subscription's persisted anchor day, never from the instant before it, so
 * that 31 January, 28 February, 31 March does not drift to the 28th.
 */

/** `[start, end)`, as Polar has it. */
export interface Cycle {
  start: Date;
  end: Date;
}

/**
 * The instant `months` calendar months after `start`, on `anchorDay` (1 to 31) or, where the month is too short for it,
 * on its last day, at `start`'s time of day.
 */
export function addMonthsAnchored(start: Date, months: number, anchorDay: number): Date {
  if (!Number.isInteger(anchorDay) || anchorDay < 1 || anchorDay > 31) {
    throw new RangeError(`anchorDay is 1 to 31, not ${anchorDay}`);
  }
  if (!Number.isInteger(months)) throw new RangeError(`months is an integer, not ${months}`);
  if (Number.isNaN(start.getTime())) throw new RangeError('start is not a date');
  const result = new Date(start);
  result.setUTCDate(1);
  result.setUTCMonth(result.getUTCMonth() + months);
  result.setUTCDate(Math.min(anchorDay, daysInMonth(result)));
  return result;
}

/**
 * The day of the month to which a subscription's cycles return after short months, as one of them tells: the day on which
 * it was started where the cycle keeps to that, else the later day of the cycle's own start and end (28 February to
 * 30 March is of the 30th); a cycle that keeps to none goes by its start. Depends on nothing that was known before, so
 * it is the same whatever was heard of.
 */
export function anchorDayOf({ start, end }: Cycle, startedOn: Date): number {
  const keepsTo = (day: number) =>
    [start, end].every((at) => addMonthsAnchored(at, 0, day).getTime() === at.getTime());
  const days = [startedOn.getUTCDate(), Math.max(start.getUTCDate(), end.getUTCDate())];
  return days.find(keepsTo) ?? start.getUTCDate();
}

/**
 * When a cycle's allotment arrives if it is dripped monthly: at its start and then once a month on the anchor, before
 * its end. 12 for a year and 1 for a month, also where the cycle does not start on the anchor day or where Polar's end
 * is some hours off ours: a 13th drip that lives for a second would take a 13th of everyone's credits with it.
 */
export function dripInstants(cycle: Cycle, anchorDay: number): Date[] {
  const months = Math.max(1, Math.round(length(cycle) / AVERAGE_MONTH));
  return Array.from({ length: months }, (_, month) =>
    month === 0 ? new Date(cycle.start) : addMonthsAnchored(cycle.start, month, anchorDay),
  ).filter((at) => at < cycle.end);
}

/**
 * `total` micro-credits in `parts` parts that differ by at most one micro-credit and sum exactly to it; the earlier
 * parts are the larger ones.
 */
export function splitAllotment(total: bigint, parts: number): bigint[] {
  if (!Number.isInteger(parts) || parts < 1)
    throw new RangeError(`parts is a positive integer, not ${parts}`);
  if (total < 0n) throw new RangeError('an allotment is not negative');
  const base = total / BigInt(parts);
  const remainder = Number(total % BigInt(parts));
  return Array.from({ length: parts }, (_, part) => (part < remainder ? base + 1n : base));
}

// 400 Gregorian years have 146,097 days.
const AVERAGE_MONTH = (146_097 / 4_800) * 86_400_000;

function length(cycle: Cycle): number {
  const milliseconds = cycle.end.getTime() - cycle.start.getTime();
  if (!(milliseconds > 0)) throw new RangeError('a cycle ends after it starts');
  return milliseconds;
}

function daysInMonth(date: Date): number {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
}
