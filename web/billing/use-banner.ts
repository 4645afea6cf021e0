import { useQuery } from '@tanstack/react-query';
import { alertsQuery, balanceQuery, forecastQuery, subscriptionQuery } from '../data/team-queries.ts';
import { type Banner, chooseBanner } from './banner.ts';

/** The team's banner. It is pending until its facts are there, and absent if one of them cannot be loaded. */
export function useBanner(teamId: string): { banner: Banner | null; isPending: boolean } {
  const balance = useQuery(balanceQuery(teamId));
  const forecast = useQuery(forecastQuery(teamId));
  const subscription = useQuery(subscriptionQuery(teamId));
  const alerts = useQuery(alertsQuery(teamId));
  const isPending = [balance, forecast, subscription, alerts].some((query) => query.isPending);
  if (!balance.data || !forecast.data || subscription.data === undefined || !alerts.data)
    return { banner: null, isPending };
  const banner = chooseBanner({
    balance: balance.data,
    forecast: forecast.data,
    subscription: subscription.data,
    alerts: alerts.data,
  });
  return { banner, isPending };
}
