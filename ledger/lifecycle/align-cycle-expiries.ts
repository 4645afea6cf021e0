import type { EntityManager } from '@mikro-orm/postgresql';
import { Grant } from '../../database/entities/grant.ts';
import { GrantExpiryChange } from '../../database/entities/grant-expiry-change.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { cycleExpiry } from '../rules/cycle-expiry.ts';
import { expireCredits } from './expire-credits.ts';

/**
 * Sets when the credits of each of a subscription's cycles expire, by the facts known now, and books what that ends.
 * Touches this subscription's grants only: never a lifetime grant, never another subscription's. Each change of an
 * expiry is a row. The caller holds the team's lock and has read `now` after it.
 *
 * @param renewalGrace  the catalog's policy, in milliseconds
 */
export async function alignCycleExpiries(
  em: EntityManager,
  subscription: { id: string; teamId: string },
  renewalGrace: number,
  now: Date,
): Promise<void> {
  const state = await em.findOne(Subscription, { id: subscription.id });
  const grants = await em.find(Grant, { subscriptionId: subscription.id, source: 'subscription' });
  const starts = [...new Set(grants.map((grant) => grant.periodStart?.getTime() ?? 0))].sort((a, b) => a - b);

  for (const grant of grants) {
    if (!grant.periodStart || !grant.periodEnd) throw new Error(`grant ${grant.businessKey} is of no cycle`);
    const start = grant.periodStart.getTime();
    const next = starts.find((other) => other > start);
    const current = state?.currentPeriodStart.getTime() === start;
    if (grant.livesUntil) continue;
    const expiresAt = cycleExpiry({
      periodEnd: grant.periodEnd,
      cancelAtPeriodEnd: (current && state?.cancelAtPeriodEnd) || false,
      endedAt: state?.endedAt ?? null,
      nextAllotmentAt: next === undefined ? null : new Date(next),
      renewalGrace,
    });
    if (grant.expiresAt?.getTime() === expiresAt.getTime()) continue;
    const reason = describe(state, next !== undefined, current);
    em.persist(
      em.create(GrantExpiryChange, {
        grantId: grant.id,
        teamId: grant.teamId,
        fromExpiresAt: grant.expiresAt,
        toExpiresAt: expiresAt,
        reason,
        at: now,
      }),
    );
    grant.expiresAt = expiresAt;
  }
  await em.flush();
  await expireCredits(em, subscription.teamId, now);
}

function describe(state: Subscription | null, closed: boolean, current: boolean): string {
  if (state?.endedAt) return 'the subscription ended';
  if (closed) return 'the next cycle was paid';
  return current && state?.cancelAtPeriodEnd ? 'cancelled at period end' : 'no longer cancelled';
}
