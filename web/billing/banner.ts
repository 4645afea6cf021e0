import type { Schema } from '../data/schema.ts';
import { isZero, toDecimal, toMicroCredits } from '../format/credits.ts';

/** What the team should know first. */
export type Banner =
  | { kind: 'pastDue'; since: string; credits: string; lastsUntil: string | null }
  | { kind: 'usedUp'; next: Schema<'CreditsAt'> | null }
  | { kind: 'low'; available: string; lastsUntil: string | null }
  | { kind: 'expiring'; credits: string; unused: string; at: string }
  | { kind: 'endsOn'; at: string };

export interface BannerFacts {
  balance: Pick<Schema<'Balance'>, 'available' | 'asOf'>;
  forecast: Pick<Schema<'Forecast'>, 'expiring' | 'runsOutAt'>;
  subscription: Pick<
    Schema<'CurrentSubscription'>,
    'cancelAtPeriodEnd' | 'cycle' | 'nextAllotment' | 'paymentDue'
  > | null;
  alerts: Pick<Schema<'Alerts'>, 'lowBalance' | 'percentOf'>;
}

const expiringSoonMs = 7 * 86_400_000;

/** The worst fact about a team's credits: a payment is due, used up, low, expiring within 7 days, the plan ends. */
export function chooseBanner({ balance, forecast, subscription, alerts }: BannerFacts): Banner | null {
  const { available, asOf } = balance;
  const lastsUntil = forecast.runsOutAt;
  if (subscription?.paymentDue) return { kind: 'pastDue', ...subscription.paymentDue, lastsUntil };
  if (isZero(available)) return { kind: 'usedUp', next: subscription?.nextAllotment ?? null };
  const micro = toMicroCredits(available);
  if (alerts.lowBalance.some((threshold) => micro <= thresholdMicro(threshold, alerts.percentOf)))
    return { kind: 'low', available, lastsUntil };
  const soon = forecast.expiring.find(
    ({ at, unused }) => !isZero(unused) && Date.parse(at) - Date.parse(asOf) <= expiringSoonMs,
  );
  if (soon) return { kind: 'expiring', ...soon };
  if (subscription?.cancelAtPeriodEnd) return { kind: 'endsOn', at: subscription.cycle.end };
  return null;
}

/** A threshold of the team's alerts in credits: as it is, or a percentage of the balance after credits last came in. */
export function thresholdCredits(threshold: string, percentOf: string): string {
  return toDecimal(thresholdMicro(threshold, percentOf));
}

function thresholdMicro(threshold: string, percentOf: string): bigint {
  if (!threshold.endsWith('%')) return toMicroCredits(threshold);
  return (toMicroCredits(percentOf) * BigInt(threshold.slice(0, -1))) / 100n;
}
