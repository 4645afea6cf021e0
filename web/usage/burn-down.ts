import type { Schema } from '../data/schema.ts';
import { toMicroCredits } from '../format/credits.ts';
import { creditScale, pixels } from './bar-shapes.ts';
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

/** The days of the API's answer. */
export function burnDownDays(days: readonly Schema<'BalanceDay'>[]): BurnDownDay[] {
  return days.map(({ day, granted, consumed, expired, revoked, settled, available, held }) => ({
    day,
    cameIn: toMicroCredits(granted),
    used: toMicroCredits(consumed),
    expired: toMicroCredits(expired),
    takenBack: toMicroCredits(revoked) + toMicroCredits(settled),
    balance: toMicroCredits(available) + toMicroCredits(held),
  }));
}

/** What gets a mark in the chart. What is used is the line itself. */
export type MarkedFlow = 'cameIn' | 'expired' | 'takenBack';

export interface BurnDownShapes {
  /** The balance as a line of steps, from its value before the first day. */
  line: string;
  /** Where credits came in, expired or were taken back: a mark above the day. */
  marks: { place: number; kind: MarkedFlow; x: number; y: number }[];
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
  const { y, ticks } = creditScale(highestBalance(opening, days), height);
  const dayWidth = width / Math.max(1, places);
  let line = `M0 ${pixels(y(opening))}`;
  let before = opening;
  const marks: BurnDownShapes['marks'] = [];
  for (const [place, { cameIn, expired, takenBack, balance }] of days.entries()) {
    const start = place * dayWidth;
    const end = { x: start + dayWidth, y: y(balance) };
    // Credits come in with a step up. Within the day the balance then falls to its end.
    if (cameIn > 0n) line += `V${pixels(y(before + cameIn))}`;
    line += `L${pixels(end.x)} ${pixels(end.y)}`;
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
