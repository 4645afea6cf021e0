import type { Polar } from '@polar-sh/sdk/2026-10';
import { livingStatuses } from '../database/entities/subscription.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar, readAll } from './client.ts';
import { fetchSubscription, type PolarSubscription, readSubscription } from './events.ts';

/**
 * Ends, at once, every subscription that the team has at Polar, whatever our mirror knows of: nobody is charged for a team
 * that is gone. Looks first, so it may be tried again: what has ended stays as it is.
 *
 * @returns ids of the subscriptions that this call ended
 * @throws DomainError as `callPolar`
 */
export async function endSubscriptions(polar: Polar, teamId: string): Promise<string[]> {
  const subscriptions = await callPolar('read', () =>
    readAll(polar.subscriptions.iterList({ external_customer_id: teamId, limit: 100 })),
  );
  const standing = subscriptions.map(readSubscription).filter(isStanding);
  for (const { id } of standing) await revoke(polar, id);
  return standing.map(({ id }) => id);
}

/** Whether Polar may still charge for it, now or once it goes on. */
export function isStanding({ status, endedAt }: Pick<PolarSubscription, 'status' | 'endedAt'>): boolean {
  return endedAt === null && livingStatuses.includes(status);
}

async function revoke(polar: Polar, id: string): Promise<void> {
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
    // It ended by itself in the meantime.
    if (!(error instanceof DomainError && error.code === 'subscription_ended' && (await hasEnded())))
      throw error;
  }
}
