import { creditScale } from './bar-shapes.ts';
import type { LocalDay } from './local-days.ts';

/** A day of the balance. Micro-credits. */
export interface BurnDownDay {
  day: LocalDay;
  cameIn: bigint;
  used: bigint;
  expired: bigint;
  /** Taken back after a refund, used to settle a debt, or taken by an operator. Negative: given back. */
  takenBack: bigint;
  /** At the end of the day: available and set aside. */
  balance: bigint;
}

/** A day of the API's answer, in micro-credits. */
export interface BalanceDay {
  day: LocalDay;
  granted: bigint;
  consumed: bigint;
  expired: bigint;
  revoked: bigint;
  settled: bigint;
  available: bigint;
  held: bigint;
}

export function burnDownDays(days: readonly BalanceDay[]): BurnDownDay[] {
  return days.map(({ day, granted, consumed, expired, revoked, settled, available, held }) => ({
    day,
    cameIn: granted,
    used: consumed,
    expired,
    takenBack: revoked + settled,
    balance: available + held,
  }));
}

export interface BurnDownShapes {
  /** The balance as a line of steps, from its value before the first day. */
  line: string;
  /** Where credits came in, expired or were taken back: a mark above the day. */
  marks: { place: number; kind: 'cameIn' | 'expired' | 'takenBack'; x: number; y: number }[];
  ticks: { credits: bigint; y: number }[];
}

/**
 * The line goes from one end of a day to the next, so it falls within the day on which credits are used.
 * @param places  the number of days on the axis; it may be more than have begun
 */
export function burnDownShapes(
  opening: bigint,
  days: readonly BurnDownDay[],
  places: number,
  { width, height }: { width: number; height: number },
): BurnDownShapes {
  const most = highestBalance(opening, days);
  const { y, ticks } = creditScale(most, height);
  const dayWidth = width / Math.max(1, places);
  const points = days.map(({ balance }, place) => ({ x: (place + 1) * dayWidth, y: y(balance) }));
  let line = `M0 ${round(y(opening))}`;
  let before = opening;
  const marks: BurnDownShapes['marks'] = [];
  for (const [place, { cameIn, expired, takenBack, balance }] of days.entries()) {
    const start = place * dayWidth;
    const end = points[place];
    if (!end) throw new RangeError('each day must have a point');
    // Credits come in with a step up. Within the day the balance then falls to its end.
    if (cameIn > 0n) line += `V${round(y(before + cameIn))}`;
    line += `L${round(end.x)} ${round(end.y)}`;
    const middle = start + dayWidth / 2;
    if (cameIn > 0n) marks.push({ place, kind: 'cameIn', x: start, y: y(before + cameIn) });
    if (expired > 0n) marks.push({ place, kind: 'expired', x: middle, y: end.y });
    if (takenBack > 0n) marks.push({ place, kind: 'takenBack', x: middle, y: end.y });
    before = balance;
  }
  return { line, marks, ticks };
}

/** Also within a day, right after credits came in. */
function highestBalance(opening: bigint, days: readonly BurnDownDay[]): bigint {
  let highest = opening;
  let before = opening;
  for (const { cameIn, balance } of days) {
    if (before + cameIn > highest) highest = before + cameIn;
    before = balance;
  }
  return before > highest ? before : highest;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
