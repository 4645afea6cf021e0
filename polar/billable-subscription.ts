import type { EntityManager } from '@mikro-orm/postgresql';
import { Subscription } from '../database/entities/subscription.ts';

/** Statuses of a subscription that stands: Polar allows one such per customer, a past-due one included. */
export const billableStatuses: readonly string[] = ['active', 'trialing', 'past_due', 'unpaid'];

/** The team's subscription that stands, by our mirror; null where there is none. */
export async function findBillableSubscription(
  em: EntityManager,
  teamId: string,
): Promise<Subscription | null> {
  const filter = { teamId, status: { $in: [...billableStatuses] }, endedAt: null };
  return em.findOne(Subscription, filter, { orderBy: { stateAt: 'desc' } });
}
