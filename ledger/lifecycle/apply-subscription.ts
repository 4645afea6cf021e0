import type { EntityManager } from '@mikro-orm/postgresql';
import { anchorDayOf } from '../../catalog/cycle.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { SubscriptionPeriod } from '../../database/entities/subscription-period.ts';
import { readOnce } from '../../database/read-once.ts';
import { type Message, storeMessages } from '../../outbox/messages.ts';
import { recountCycleLimits } from '../spend/set-limit.ts';
import { type CyclePolicies, demandOwnSubscription, followEntitlement } from './follow-entitlement.ts';

/** A subscription at Polar whose team and plan we know. */
export interface SubscriptionFacts {
  id: string;
  teamId: string;
  /** The plan's catalog key. */
  plan: string;
  /** The plan that it changes to with the next period, if any. */
  nextPlan?: string | null;
  status: string;
  currentPeriodStart: Date;
  currentPeriodEnd: Date;
  cancelAtPeriodEnd: boolean;
  startedAt: Date | null;
  endedAt: Date | null;
  /** Polar's time of this state. */
  stateAt: Date;
}

/** Whether two states are equal. */
export function isSameState(a: ComparedState, b: ComparedState): boolean {
  return (
    a.plan === b.plan &&
    (a.nextPlan ?? null) === (b.nextPlan ?? null) &&
    a.status === b.status &&
    a.currentPeriodStart.getTime() === b.currentPeriodStart.getTime() &&
    a.currentPeriodEnd.getTime() === b.currentPeriodEnd.getTime() &&
    a.cancelAtPeriodEnd === b.cancelAtPeriodEnd &&
    a.endedAt?.getTime() === b.endedAt?.getTime()
  );
}

type ComparedState = Pick<
  SubscriptionFacts,
  'plan' | 'nextPlan' | 'status' | 'currentPeriodStart' | 'currentPeriodEnd' | 'cancelAtPeriodEnd' | 'endedAt'
>;

/**
 * Applies a state of a subscription: stores it, then updates the subscription's credits: their expiry, and the cycle of each
 * paid line. No state grants anything: only paid lines do. The caller holds the team's lock and has read `now` after it.
 *
 * @returns what was done, as a sentence
 */
export async function applySubscription(
  em: EntityManager,
  facts: SubscriptionFacts,
  { policies, ...how }: { policies: CyclePolicies; fetched: boolean },
  now: Date,
): Promise<string> {
  const { outcome, isNews } = await rememberSubscription(em, facts, how, now);
  if (isNews) await followEntitlement(em, facts, policies, now);
  return outcome;
}

/**
 * Stores the newest state of a subscription and its billing period. An older state never replaces a newer one. The caller
 * then updates the credits (`followEntitlement`). It holds the team's lock and has read `now` after it.
 *
 * @param fetched  whether the state was just fetched from Polar: of two states with the same time, it is the newer
 * @returns what was done, as a sentence, and whether anything changed
 * @throws DomainError `doubtful_team`: the subscription belongs to another team
 */
export async function rememberSubscription(
  em: EntityManager,
  facts: SubscriptionFacts,
  { fetched }: { fetched: boolean },
  now: Date,
): Promise<{ outcome: string; isNews: boolean }> {
  const [isNewPeriod, known] = await Promise.all([rememberPeriod(em, facts), findSubscription(em, facts.id)]);
  if (known) demandOwnSubscription(known, facts.teamId);
  const age = known ? known.stateAt.getTime() - facts.stateAt.getTime() : -1;
  if (age > 0 || (age === 0 && !fetched)) {
    const outcome = `Subscription ${facts.id}: this state or a newer one is already known`;
    return { outcome, isNews: isNewPeriod };
  }
  const state = {
    plan: facts.plan,
    nextPlan: facts.nextPlan ?? null,
    status: facts.status,
    currentPeriodStart: facts.currentPeriodStart,
    currentPeriodEnd: facts.currentPeriodEnd,
    cancelAtPeriodEnd: facts.cancelAtPeriodEnd,
    startedAt: facts.startedAt,
    endedAt: facts.endedAt,
    anchorDay: anchorDayOf(
      { start: facts.currentPeriodStart, end: facts.currentPeriodEnd },
      facts.startedAt ?? facts.currentPeriodStart,
    ),
    stateAt: facts.stateAt,
  };
  const messages = messagesOf(facts, known);
  if (known) em.assign(known, state);
  else {
    const created = em.create(Subscription, { id: facts.id, teamId: facts.teamId, ...state });
    em.persist(created);
    findSubscription.keep(em, created, facts.id);
  }
  await em.flush();
  await recountCycleLimits(em, facts.teamId, now);
  await storeMessages(em, messages, now);
  const end = facts.cancelAtPeriodEnd ? ', cancelled at its end' : '';
  const outcome = `Subscription ${facts.id}: ${facts.plan} is ${facts.status} until ${facts.currentPeriodEnd.toISOString().slice(0, 10)}${end}`;
  return { outcome, isNews: true };
}

function messagesOf(facts: SubscriptionFacts, known: Subscription | null): Message[] {
  if (known && isSameState(known, facts)) return [];
  const { id: subscriptionId, teamId, plan, nextPlan = null, status, cancelAtPeriodEnd } = facts;
  const cycle = {
    cycleStart: facts.currentPeriodStart.toISOString(),
    cycleEnd: facts.currentPeriodEnd.toISOString(),
  };
  const about = { teamId, subscriptionId, plan };
  const isPastDue = status === 'past_due' && known?.status !== 'past_due';
  return [
    { type: 'subscription.updated', data: { ...about, nextPlan, status, ...cycle, cancelAtPeriodEnd } },
    ...(isPastDue ? [{ type: 'payment.past_due' as const, data: about }] : []),
  ];
}

/** Stores every billing period that Polar reports, with its newest end. Returns whether this one changed anything. */
async function rememberPeriod(
  em: EntityManager,
  { id, currentPeriodStart: startsAt, currentPeriodEnd: endsAt, stateAt }: SubscriptionFacts,
): Promise<boolean> {
  const known = await findPeriod(em, id, startsAt);
  if (known && (known.stateAt > stateAt || known.endsAt.getTime() === endsAt.getTime())) {
    if (stateAt > known.stateAt) known.stateAt = stateAt;
    return false;
  }
  if (known) em.assign(known, { endsAt, stateAt });
  else {
    const created = em.create(SubscriptionPeriod, { subscriptionId: id, startsAt, endsAt, stateAt });
    em.persist(created);
    findPeriod.keep(em, created, id, startsAt);
  }
  return true;
}

/** The subscription as it is stored, under its team's lock. */
export const findSubscription = readOnce((em, id: string) => em.findOne(Subscription, { id }));

/** The stored billing period that begins at `startsAt`, under its team's lock. */
export const findPeriod = readOnce((em, subscriptionId: string, startsAt: Date) =>
  em.findOne(SubscriptionPeriod, { subscriptionId, startsAt }),
);
