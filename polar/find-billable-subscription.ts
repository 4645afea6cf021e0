import type { EntityManager } from '@mikro-orm/postgresql';
import { billableStatuses, Subscription } from '../database/entities/subscription.ts';

/** The team's subscription that Polar charges for, by our mirror; null where there is none. */
export async function findBillableSubscription(
  em: EntityManager,
  teamId: string,
): Promise<Subscription | null> {
  const filter = { teamId, status: { $in: billableStatuses }, endedAt: null };
  return em.findOne(Subscription, filter, { orderBy: { stateAt: 'desc' } });
}
