import type { EntityManager } from '@mikro-orm/postgresql';
import { anchorDayOf, dripInstants, splitAllotment } from '../../catalog/cycle.ts';
import { Grant } from '../../database/entities/grant.ts';
import { Order } from '../../database/entities/order.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { allotmentKey } from '../rules/decide-order-grants.ts';
import { alignCycleExpiries } from './align-cycle-expiries.ts';
import { clawBackOrder } from './claw-back-order.ts';
import { grantCredits } from './grant-credits.ts';

/** A part of a yearly allotment and when it is due. Micro-credits. */
export interface Drip {
  at: Date;
  credits: bigint;
}

/**
 * Grants every drip of the team's paid yearly cycles that is due and was not granted yet. A refunded order drips no
 * more; of a partly refunded one each drip shrinks alike, by its clawback. The caller holds the team's lock and has
 * read `now` after it.
 *
 * @param renewalGrace  the catalog's policy, in milliseconds
 * @returns how many drips were granted
 */
export async function grantDueDrips(
  em: EntityManager,
  teamId: string,
  renewalGrace: number,
  now: Date,
): Promise<number> {
  let granted = 0;
  for (const { order, drips } of await openDrips(em, teamId)) {
    const { subscriptionId, periodStart, periodEnd, allotment, catalogVersion } = order;
    if (!subscriptionId || !periodStart || !periodEnd || allotment === null || catalogVersion === null)
      continue;
    for (const { at, credits } of drips.filter((drip) => drip.at <= now)) {
      await grantCredits(
        em,
        {
          teamId,
          source: 'subscription',
          businessKey: allotmentKey(subscriptionId, at),
          credits,
          effectiveAt: at,
          expiresAt: new Date(periodEnd.getTime() + renewalGrace),
          catalogVersion,
          ...(order.product === null ? {} : { product: order.product }),
          orderId: order.id,
          subscriptionId,
          period: { start: periodStart, end: periodEnd },
          allotment,
        },
        now,
      );
      await alignCycleExpiries(em, { id: subscriptionId, teamId }, renewalGrace, now);
      await clawBackOrder(em, order, now);
      granted += 1;
    }
  }
  return granted;
}

/** When the team's next drip is due, null where none is to come. */
export async function nextDripAt(em: EntityManager, teamId: string): Promise<Date | null> {
  const open = await openDrips(em, teamId);
  return soonest(open.flatMap(({ drips }) => drips))?.at ?? null;
}

/**
 * The next drip later than `after` of the subscription's cycle that began at `start`: null where the cycle was paid and drips
 * no more, 'not paid' where no payment of it is known.
 */
export async function nextDripOf(
  em: EntityManager,
  {
    teamId,
    subscriptionId,
    start,
    after,
  }: { teamId: string; subscriptionId: string; start: Date; after: Date },
): Promise<Drip | null | 'not paid'> {
  const paid = await em.findOne(Order, { teamId, dripsMonthly: true, subscriptionId, periodStart: start });
  if (!paid) return 'not paid';
  const open = await openDrips(em, teamId);
  const drips = open.find(({ order }) => order.id === paid.id)?.drips ?? [];
  return soonest(drips.filter(({ at }) => at > after));
}

function soonest(drips: readonly Drip[]): Drip | null {
  return drips.toSorted((a, b) => a.at.getTime() - b.at.getTime())[0] ?? null;
}

/** The drips that are not granted yet, of every order of the team that still drips. */
async function openDrips(em: EntityManager, teamId: string): Promise<{ order: Order; drips: Drip[] }[]> {
  const orders = await em.find(Order, { teamId, dripsMonthly: true });
  const open = [];
  for (const order of orders) {
    const { subscriptionId, periodStart, periodEnd, allotment } = order;
    if (!subscriptionId || !periodStart || !periodEnd || allotment === null) continue;
    if (order.paidAmount > 0n && order.refundedAmount + order.disputedAmount >= order.paidAmount) continue;
    const subscription = await em.findOne(Subscription, { id: subscriptionId });
    const grants = await em.find(Grant, { subscriptionId });
    // A change of interval or a `reset` closed the cycle, or the subscription ended: it drips no more from then on.
    const closed = [subscription?.currentPeriodStart, ...grants.map((grant) => grant.periodStart)].filter(
      (start) => start && start > periodStart && start < periodEnd,
    );
    const ends = [subscription?.endedAt, ...closed].flatMap((end) => end?.getTime() ?? []);
    const until = Math.min(periodEnd.getTime(), ...ends);
    const cycle = { start: periodStart, end: periodEnd };
    // Not the subscription's anchor day of now: that may have moved since this cycle began.
    const instants = dripInstants(cycle, anchorDayOf(cycle, subscription?.startedAt ?? periodStart));
    const parts = splitAllotment(allotment, instants.length);
    // Of the whole subscription: a cycle that begins in the very instant of another finds its first key taken.
    const granted = new Set(grants.map(({ businessKey }) => businessKey));
    const drips = instants
      .map((at, index) => ({ at, credits: parts[index] ?? 0n }))
      .filter(
        ({ at, credits }) =>
          credits > 0n && !granted.has(allotmentKey(subscriptionId, at)) && at.getTime() < until,
      );
    if (drips.length > 0) open.push({ order, drips });
  }
  return open;
}
