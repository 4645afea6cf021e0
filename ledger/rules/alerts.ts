import { parseDecimal } from '../../catalog/credits.ts';

/** What a team's alerts have reported since credits last came in. Micro-credits. */
export interface AlertState {
  /** The balance after credits came in: percentages are of it. */
  base: bigint;
  /** The lowest balance that was reported; before that, `base`. Only lower thresholds can be crossed. */
  watermark: bigint;
  /** Whether `credits.exhausted` was sent. */
  exhaustionSent: boolean;
}

/** A threshold that the balance fell to. */
export interface CrossedThreshold {
  /** As it was set: credits, or a percentage. */
  threshold: string;
  /** Micro-credits. */
  credits: bigint;
}

export interface AlertReview {
  state: AlertState;
  crossed: CrossedThreshold[];
  exhausted: boolean;
}

/** Credits came in, so every threshold below the new balance can be crossed again. */
export function armAlerts(available: bigint): AlertState {
  return { base: available, watermark: available, exhaustionSent: false };
}

/**
 * Decides at the end of a commit which alerts to send. Each threshold is crossed at most once until credits come in,
 * because a released hold raises the balance and not the watermark.
 *
 * @param lowBalance  the team's thresholds, as they were set
 * @param available  the spendable micro-credits after the commit
 * @param refused  whether a request of the commit was refused with `insufficient_credits`
 */
export function reviewAlerts(
  state: AlertState,
  lowBalance: readonly string[],
  available: bigint,
  refused: boolean,
): AlertReview {
  const crossed = lowBalance
    .map((threshold) => ({ threshold, credits: thresholdCredits(threshold, state.base) }))
    .filter(({ credits }) => available <= credits && credits < state.watermark);
  const isEmpty = available === 0n && state.watermark > 0n;
  const exhausted = !state.exhaustionSent && (isEmpty || refused);
  if (crossed.length === 0 && !isEmpty && !exhausted) return { state, crossed, exhausted };
  const watermark = crossed.length > 0 || isEmpty ? available : state.watermark;
  return {
    state: { base: state.base, watermark, exhaustionSent: state.exhaustionSent || exhausted },
    crossed: crossed.sort((a, b) => (a.credits < b.credits ? 1 : a.credits > b.credits ? -1 : 0)),
    exhausted,
  };
}

/** A threshold in micro-credits, rounded down. */
export function thresholdCredits(threshold: string, base: bigint): bigint {
  if (!threshold.endsWith('%')) return parseDecimal(threshold);
  return (base * BigInt(threshold.slice(0, -1))) / 100n;
}
