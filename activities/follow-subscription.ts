import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { readCatalog } from '../catalog/versions.ts';
import { isStanding } from '../database/entities/subscription.ts';
import type { Team } from '../database/entities/team.ts';
import {
  applySubscription,
  findSubscription,
  isSameState,
  rememberSubscription,
  type SubscriptionFacts,
} from '../ledger/lifecycle/apply-subscription.ts';
import { endSubscriptions } from '../polar/end-subscriptions.ts';
import { dataOf, fetchSubscription, type PolarSubscription, readSubscription } from '../polar/events.ts';
import { plansOf, rememberPrices, unknownProduct } from '../polar/resolve-product.ts';
import { assignedSubscription, checkTeam } from '../polar/resolve-team.ts';
import { type EventStep, type Fetching, needsPolar, type StoredEvent, teamOf } from './step.ts';

/** A subscription from an event, or as it was just fetched. */
export type SubscriptionState = PolarSubscription & { fetched: boolean };

/**
 * A subscription began, renewed, changed, is past due, was canceled or ended: its cycles, expiries and status follow.
 * This grants nothing: only paid orders do.
 */
export const followSubscription: EventStep<SubscriptionState> = {
  async read(em, event, fetching) {
    const subscription = assignedSubscription(readSubscription(dataOf(event.payload)), event);
    const outlives = await outlivesTeam(em, event, subscription);
    // An end expires credits at once, and Polar can reinstate. So the current state is fetched first.
    const ambiguous = subscription.endedAt !== null || outlives || (await isTied(em, subscription));
    if (!ambiguous) return { ...subscription, fetched: false };
    if (!fetching) return needsPolar;
    if (outlives) await endForDeletedTeam(fetching, event, subscription);
    return assignedSubscription(await fetchState(fetching.polar, subscription.id), event);
  },
  async carryOut(em, team, subscription, now) {
    await checkTeam(em, team, subscription.teamRef, subscription.id);
    return followState(em, team, subscription, now);
  },
};

/** Whether it is standing although its team is deleted: a checkout that was open then may still be paid. */
export async function outlivesTeam(
  em: EntityManager,
  event: StoredEvent,
  subscription: PolarSubscription,
): Promise<boolean> {
  return isStanding(subscription) && (await teamOf(em, event)).deletedAt !== null;
}

export async function endForDeletedTeam(
  { polar, database }: Fetching,
  { teamId }: StoredEvent,
  { id }: PolarSubscription,
): Promise<void> {
  if (teamId !== null) await endSubscriptions(polar, database, teamId, [id]);
}

export async function fetchState(polar: Polar, id: string): Promise<SubscriptionState> {
  return { ...(await fetchSubscription(polar, id)), fetched: true };
}

/**
 * Applies a state of the team's subscription, including its credits.
 * @returns what was done, as a sentence
 * @throws DomainError `unknown_product`
 */
export async function followState(
  em: EntityManager,
  team: Team,
  subscription: SubscriptionState,
  now: Date,
): Promise<string> {
  const facts = await subscriptionFactsOf(em, team, subscription);
  const { policies } = (await readCatalog(em)).catalog;
  return applySubscription(em, facts, { policies, fetched: subscription.fetched }, now);
}

/**
 * Stores a state of the team's subscription. Its credits follow with the order of the same event.
 * @throws DomainError `unknown_product`
 */
export async function rememberState(
  em: EntityManager,
  team: Team,
  subscription: SubscriptionState,
  now: Date,
): Promise<void> {
  const facts = await subscriptionFactsOf(em, team, subscription);
  await rememberSubscription(em, facts, { fetched: subscription.fetched }, now);
}

/**
 * Whether only Polar knows the newer state: another state of the same time is known (Polar has microseconds, a Date
 * milliseconds), and they differ.
 */
async function isTied(em: EntityManager, subscription: PolarSubscription): Promise<boolean> {
  const known = await findSubscription(em, subscription.id);
  if (known?.stateAt.getTime() !== subscription.stateAt.getTime()) return false;
  const plans = await plansOf(em, subscription);
  return plans.plan === null || !isSameState(known, { ...subscription, ...plans, plan: plans.plan });
}

async function subscriptionFactsOf(
  em: EntityManager,
  team: Team,
  subscription: PolarSubscription,
): Promise<SubscriptionFacts> {
  const { plan, nextPlan } = await plansOf(em, subscription);
  if (plan === null) throw unknownProduct(subscription);
  await rememberPrices(em, plan, subscription.priceIds);
  return { ...subscription, teamId: team.id, plan, nextPlan };
}
