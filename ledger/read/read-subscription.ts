import type { EntityManager } from '@mikro-orm/postgresql';
import { type Cycle, dripInstants, splitAllotment } from '../../catalog/cycle.ts';
import { type Catalog, findProduct, type Plan } from '../../catalog/schema.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { readClock } from '../../database/connection.ts';
import { findStandingSubscriptions } from '../../database/entities/subscription.ts';
import { type Drip, nextDripOf } from '../lifecycle/grant-due-drips.ts';

/** A subscription's state, from our database or as just fetched from Polar. */
export interface KnownSubscription {
  id: string;
  teamId: string;
  /** The plan's catalog key. */
  plan: string;
  /** Polar's status. */
  status: string;
  currentPeriodStart: Date;
  currentPeriodEnd: Date;
  cancelAtPeriodEnd: boolean;
  /** The day of the month on which its cycles start. */
  anchorDay: number;
  /** The plan that it changes to with the next period. */
  nextPlan?: string | null | undefined;
}

/** A subscription as the API shows it. Credits in micro-credits. */
export interface TeamSubscription {
  /** Polar's id. */
  id: string;
  plan: string;
  status: string;
  cycle: Cycle;
  cancelAtPeriodEnd: boolean;
  /** The plan that it changes to with the next cycle; null: none. */
  scheduledChange: { plan: string; at: Date } | null;
  /**
   * When the next credits arrive (after they are paid); never in the past. Null if none will, or if a payment is due
   * first.
   */
  nextAllotment: { at: Date; credits: bigint } | null;
  /** The time since which a payment is due, and the credits that arrive after it. */
  paymentDue: { since: Date; credits: bigint } | null;
}

type Forecast = Pick<TeamSubscription, 'nextAllotment' | 'paymentDue'>;

/** The team's standing subscriptions in our database, the current one first; see `findStandingSubscriptions`. */
export async function readSubscriptions(em: EntityManager, teamId: string): Promise<TeamSubscription[]> {
  const described: TeamSubscription[] = [];
  for (const subscription of await findStandingSubscriptions(em, teamId))
    described.push(await describeSubscription(em, subscription));
  return described;
}

/** The consequences of a subscription's state for the team's credits, by the catalog and the clock. */
export async function describeSubscription(
  em: EntityManager,
  state: KnownSubscription,
): Promise<TeamSubscription> {
  const { catalog } = await readCatalog(em);
  const now = await readClock(em);
  const cycle = { start: state.currentPeriodStart, end: state.currentPeriodEnd };
  const drip = await nextDripOf(em, {
    subscriptionId: state.id,
    start: cycle.start,
    after: now,
  });
  return {
    id: state.id,
    plan: state.plan,
    status: state.status,
    cycle,
    cancelAtPeriodEnd: state.cancelAtPeriodEnd,
    scheduledChange: state.nextPlan ? { plan: state.nextPlan, at: cycle.end } : null,
    ...forecast(state, drip, catalog, now),
  };
}

/** Polar's statuses of a subscription whose next cycle is expected to be paid. */
const renewingStatuses = ['trialing', 'active'];
/** Polar's statuses of a subscription whose current cycle is not paid. */
const unpaidStatuses = ['past_due', 'unpaid'];

function forecast(
  state: KnownSubscription,
  drip: Drip | null | 'not_paid',
  catalog: Catalog,
  now: Date,
): Forecast {
  const { currentPeriodStart: start, currentPeriodEnd: end, anchorDay, status } = state;
  const plan = findPlan(catalog, state.plan);
  const paidDrip = drip === 'not_paid' ? null : drip;
  // At Polar a period starts before it is paid.
  if (unpaidStatuses.includes(status)) {
    return { nextAllotment: paidDrip, paymentDue: plan ? { since: start, credits: firstPart(plan) } : null };
  }
  if (!renewingStatuses.includes(status)) return { nextAllotment: null, paymentDue: null };
  if (paidDrip) return { nextAllotment: paidDrip, paymentDue: null };
  // A trial's cycle is not paid, so it has no drips. The drips of a cycle whose payment is not known yet come from the
  // catalog.
  if (drip === 'not_paid' && plan?.rhythm === 'monthly' && status !== 'trialing') {
    const drips = dripInstants({ start, end }, anchorDay);
    const next = drips.findIndex((at) => at > now);
    const at = drips[next];
    const credits = splitAllotment(plan.allotment, drips.length)[next];
    if (at && credits !== undefined) return { nextAllotment: { at, credits }, paymentDue: null };
  }
  const following = findPlan(catalog, state.nextPlan ?? state.plan);
  if (state.cancelAtPeriodEnd || !following) return { nextAllotment: null, paymentDue: null };
  const credits = firstPart(following);
  return end > now
    ? { nextAllotment: { at: end, credits }, paymentDue: null }
    : { nextAllotment: null, paymentDue: { since: end, credits } };
}

/** The credits at the first instant of a paid cycle, in micro-credits. */
function firstPart({ allotment, rhythm }: Plan): bigint {
  const [first] = splitAllotment(allotment, rhythm === 'monthly' ? 12 : 1);
  if (first === undefined) throw new Error('an allotment must have at least one part');
  return first;
}

function findPlan(catalog: Catalog, key: string): Plan | undefined {
  const product = findProduct(catalog, key);
  return product?.kind === 'plan' ? product.plan : undefined;
}
