import type { EntityManager } from '@mikro-orm/postgresql';
import { Subscription } from '../database/entities/subscription.ts';
import { alignCycleExpiries } from './align-cycle-expiries.ts';

/** A subscription of Polar's whose team and plan are known to be ours. */
export interface SubscriptionFacts {
  id: string;
  teamId: string;
  /** The plan's catalog key. */
  plan: string;
  status: string;
  currentPeriodStart: Date;
  currentPeriodEnd: Date;
  cancelAtPeriodEnd: boolean;
  startedAt: Date | null;
  endedAt: Date | null;
  /** Polar's time of this state. */
  stateAt: Date;
}

/**
 * Mirrors a subscription's newest state, never an older one over a newer, and sets when its credits expire by it.
 * It grants nothing: only money does. The caller holds the team's lock and has read `now` after it.
 *
 * @param renewalGrace  the catalog's policy, in milliseconds
 * @returns what was done, in plain words
 */
export async function applySubscription(
  em: EntityManager,
  facts: SubscriptionFacts,
  renewalGrace: number,
  now: Date,
): Promise<string> {
  const known = await em.findOne(Subscription, { id: facts.id });
  if (known && known.stateAt > facts.stateAt)
    return `Subscription ${facts.id}: a newer state is known already`;
  const state = {
    plan: facts.plan,
    status: facts.status,
    currentPeriodStart: facts.currentPeriodStart,
    currentPeriodEnd: facts.currentPeriodEnd,
    cancelAtPeriodEnd: facts.cancelAtPeriodEnd,
    startedAt: facts.startedAt,
    endedAt: facts.endedAt,
    stateAt: facts.stateAt,
  };
  if (known) {
    em.assign(known, state);
  } else {
    const anchorDay = (facts.startedAt ?? facts.currentPeriodStart).getUTCDate();
    em.persist(em.create(Subscription, { id: facts.id, teamId: facts.teamId, anchorDay, ...state }));
  }
  await em.flush();
  await alignCycleExpiries(em, facts, renewalGrace, now);
  const end = facts.cancelAtPeriodEnd ? ', cancelled at its end' : '';
  return `Subscription ${facts.id}: ${facts.plan} is ${facts.status} until ${facts.currentPeriodEnd.toISOString().slice(0, 10)}${end}`;
}
