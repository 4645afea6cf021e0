import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { isStanding } from '../database/entities/subscription.ts';
import { hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { fetchSubscription } from './events.ts';
import { findTeamSubscriptions } from './find-subscriptions.ts';

/**
 * Ends at once every subscription of the team that we or Polar know, for every customer it belongs to, so that nobody
 * is charged for a deleted team. It reads the current state first, so it is safe to retry: ended subscriptions are
 * skipped.
 *
 * @param knownIds  further subscriptions that are known to belong to the team
 * @returns ids of the subscriptions that this call ended
 * @throws DomainError as `callPolar`
 */
export async function endSubscriptions(
  polar: Polar,
  database: Database,
  teamId: string,
  knownIds: readonly string[] = [],
): Promise<string[]> {
  const subscriptions = await findTeamSubscriptions(polar, database, teamId, knownIds);
  const standing = subscriptions.filter(isStanding);
  for (const { id } of standing) await endSubscription(polar, id);
  return standing.map(({ id }) => id);
}

/**
 * Ends a subscription at once, unless it has ended.
 * @throws DomainError as `callPolar`
 */
export async function endSubscription(polar: Polar, id: string): Promise<void> {
  const hasEnded = async () => (isStanding(await fetchSubscription(polar, id)) ? undefined : true);
  try {
    await callPolar(
      'change',
      async () => {
        await polar.subscriptions.revoke(id);
        return true;
      },
      hasEnded,
    );
  } catch (error) {
    // It ended meanwhile.
    if (!(hasCode(error, 'subscription_ended') && (await hasEnded()))) throw error;
  }
}
