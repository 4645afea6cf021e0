import type { EntityManager } from '@mikro-orm/postgresql';
import { type Cycle, dripInstants, splitAllotment } from '../../catalog/cycle.ts';
import { findProduct } from '../../catalog/find-product.ts';
import type { Catalog, Plan } from '../../catalog/schema.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { readClock } from '../../database/connection.ts';
import { livingStatuses, renewingStatuses, Subscription } from '../../database/entities/subscription.ts';
import { type Drip, nextDripOf } from '../lifecycle/grant-due-drips.ts';

/** A subscription's state, from our mirror or as Polar has just told it. */
export interface SubscriptionState {
  id: string;
  teamId: string;
  /** The plan's catalog key. */
  plan: string;
  /** Polar's status. */
  status: string;
  currentPeriodStart: Date;
  currentPeriodEnd: Date;
  cancelAtPeriodEnd: boolean;
  /** Day of month on which its cycles start. */
  anchorDay: number;
  /** The plan that it changes to with the next period. */
  nextPlan?: string | null | undefined;
}

/** A subscription as people see it. */
export interface TeamSubscription {
  plan: string;
  status: string;
  cycle: Cycle;
  cancelAtPeriodEnd: boolean;
  /** When the next credits come (once they are paid) and how many micro-credits; null where none will. */
  nextAllotment: { at: Date; credits: bigint } | null;
}

/** The team's subscription as our mirror of Polar's has it, or null where the team has none that goes on. */
export async function readSubscription(em: EntityManager, teamId: string): Promise<TeamSubscription | null> {
  const subscription = await em.findOne(
    Subscription,
    { teamId, endedAt: null, status: { $in: livingStatuses } },
    { orderBy: { stateAt: 'desc', id: 'desc' } },
  );
  return subscription && describeSubscription(em, subscription);
}

/** What a subscription's state means for the team's credits, by the catalog and the clock. */
export async function describeSubscription(
  em: EntityManager,
  state: SubscriptionState,
): Promise<TeamSubscription> {
  const { catalog } = await readCatalog(em);
  const cycle = { start: state.currentPeriodStart, end: state.currentPeriodEnd };
  const drip = await nextDripOf(em, { teamId: state.teamId, subscriptionId: state.id, start: cycle.start });
  return {
    plan: state.plan,
    status: state.status,
    cycle,
    cancelAtPeriodEnd: state.cancelAtPeriodEnd,
    nextAllotment: nextAllotment(state, drip, catalog, await readClock(em)),
  };
}

function nextAllotment(
  state: SubscriptionState,
  drip: Drip | null | 'not paid',
  catalog: Catalog,
  now: Date,
): TeamSubscription['nextAllotment'] {
  const { currentPeriodStart: start, currentPeriodEnd: end, anchorDay, status } = state;
  if (!renewingStatuses.includes(status)) return null;
  const plan = findPlan(catalog, state.plan);
  if (drip !== null && drip !== 'not paid') return drip;
  // A trial's cycle is not paid, so nothing drips in it. One that is paid, and we have not heard of it yet, drips by the catalog.
  if (drip === 'not paid' && plan?.rhythm === 'monthly' && status !== 'trialing') {
    const drips = dripInstants({ start, end }, anchorDay);
    const next = drips.findIndex((at) => at > now);
    const at = drips[next];
    if (at) return { at, credits: splitAllotment(plan.allotment, drips.length)[next] ?? 0n };
  }
  const following = findPlan(catalog, state.nextPlan ?? state.plan);
  if (state.cancelAtPeriodEnd || !following) return null;
  const [first = 0n] = splitAllotment(following.allotment, following.rhythm === 'monthly' ? 12 : 1);
  return { at: end, credits: first };
}

function findPlan(catalog: Catalog, key: string): Plan | undefined {
  const product = findProduct(catalog, key);
  return product?.kind === 'plan' ? product.plan : undefined;
}
