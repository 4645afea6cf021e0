import { defineEntity, type InferEntity, p, raw } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';

/** Our copy of Polar's subscription: the newest state by Polar's time. It never grants anything. */
export const Subscription = defineEntity({
  name: 'Subscription',
  tableName: 'subscriptions',
  properties: {
    id: p.text().primary(),
    teamId: p.uuid(),
    /** The plan's catalog key. */
    plan: p.text(),
    /** The plan that it changes to with the next period, if any. */
    nextPlan: p.text().strictNullable(),
    /** Polar's status: incomplete, trialing, active, past_due, canceled, unpaid, paused. */
    status: p.text(),
    currentPeriodStart: p.datetime(),
    currentPeriodEnd: p.datetime(),
    cancelAtPeriodEnd: p.boolean(),
    startedAt: p.datetime().strictNullable(),
    endedAt: p.datetime().strictNullable(),
    /** The day of the month on which its cycles start, kept over short months (31 Jan, 28 Feb, 31 Mar). */
    anchorDay: p.integer(),
    /** Polar's time of this state; an older state never replaces a newer one. */
    stateAt: p.datetime(),
  },
});

export type Subscription = InferEntity<typeof Subscription>;

/**
 * A subscription is *standing* while Polar may charge for it, now or after a resume. While it is, the team cannot buy
 * another plan, it can be canceled, and it ends with its team. These are Polar's statuses (`SubscriptionStatus` in its
 * SDK) in which it is not standing. Every other status, including one that Polar adds later, counts as standing.
 */
const endedStatuses = ['incomplete', 'incomplete_expired', 'canceled'];

/** Whether a subscription is standing. */
export function isStanding({ status, endedAt }: { status: string; endedAt: Date | null }): boolean {
  return endedAt === null && !endedStatuses.includes(status);
}

/** SQL for `isStanding`, for the table with this alias. */
export function standingSql(alias: string): string {
  const statuses = endedStatuses.map((status) => `'${status}'`).join(', ');
  return `${alias}.ended_at is null and ${alias}.status not in (${statuses})`;
}

/**
 * SQL for the order of a team's standing subscriptions. The first is the team's *current* one: active ones come before
 * unpaid ones, unpaid ones before paused ones, then the one that started last.
 */
export function standingOrderSql(alias: string): string {
  return `${rankSql(alias)}, ${alias}.started_at desc nulls last, ${alias}.id desc`;
}

function rankSql(alias: string): string {
  return `case ${alias}.status when 'active' then 1 when 'trialing' then 1 when 'past_due' then 2 when 'paused' then 4 else 3 end`;
}

/** SQL for the team's current subscription: a subquery of at most one row. @param teamId  SQL for the team's id */
export function currentSubscriptionSql(teamId: string): string {
  return `(select s.* from subscriptions s where s.team_id = ${teamId} and ${standingSql('s')} order by ${standingOrderSql('s')} limit 1)`;
}

/** The team's current subscription in our database, null without one. */
export async function findCurrentSubscription(
  em: EntityManager,
  teamId: string,
): Promise<Subscription | null> {
  const [current] = await findStandingSubscriptions(em, teamId);
  return current ?? null;
}

/**
 * The team's standing subscriptions in our database, the current one first. Polar sells one at a time, but two are
 * possible.
 */
export async function findStandingSubscriptions(em: EntityManager, teamId: string): Promise<Subscription[]> {
  return em.find(
    Subscription,
    { teamId, [raw((alias) => `(${standingSql(alias)})`)]: [] },
    { orderBy: [{ [raw(rankSql)]: 'asc' }, { startedAt: 'desc nulls last', id: 'desc' }] },
  );
}
