import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { readCatalog } from '../catalog/versions.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { isStanding } from '../database/entities/subscription.ts';
import { Team } from '../database/entities/team.ts';
import {
  applySubscription,
  findSubscription,
  isSameState,
  rememberSubscription,
  type SubscriptionFacts,
} from '../ledger/lifecycle/apply-subscription.ts';
import { endSubscriptions } from '../polar/end-subscriptions.ts';
import { fetchSubscription, type PolarSubscription } from '../polar/events.ts';
import { plansOf, rememberPrices, unknownProduct } from '../polar/resolve-product.ts';
import type { Fetching } from './event-step.ts';

/** A subscription from an event, or as it was just fetched. */
export type SubscriptionState = PolarSubscription & { fetched: boolean };

/**
 * Whether only Polar knows the newer state: another state of the same time is known (Polar has microseconds, a Date
 * milliseconds), and they differ.
 */
export async function isTied(em: EntityManager, subscription: PolarSubscription): Promise<boolean> {
  const known = await findSubscription(em, subscription.id);
  if (known?.stateAt.getTime() !== subscription.stateAt.getTime()) return false;
  const plans = await plansOf(em, subscription);
  return plans.plan === null || !isSameState(known, { ...subscription, ...plans, plan: plans.plan });
}

/** Whether it is standing although its team is deleted: a checkout that was open then may still be paid. */
export async function outlivesTeam(
  em: EntityManager,
  event: InboxEvent,
  subscription: PolarSubscription,
): Promise<boolean> {
  return isStanding(subscription) && (await teamOf(em, event)).deletedAt !== null;
}

export async function endForDeletedTeam(
  { polar, database }: Fetching,
  { teamId }: InboxEvent,
  { id }: PolarSubscription,
): Promise<void> {
  if (teamId !== null) await endSubscriptions(polar, database, teamId, [id]);
}

export async function fetchState(polar: Polar, id: string): Promise<SubscriptionState> {
  return { ...(await fetchSubscription(polar, id)), fetched: true };
}

/** @throws Error if the event has no team */
export async function teamOf(em: EntityManager, { id, teamId }: InboxEvent): Promise<Team> {
  if (teamId === null) throw new Error(`the inbox row ${id} has no team`);
  return em.findOneOrFail(Team, { id: teamId });
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
