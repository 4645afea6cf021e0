import type { Catalog } from '../../catalog/schema.ts';
import type { Expiring } from './grant.ts';

/** The facts that decide when a cycle's credits expire. */
export interface CycleFacts {
  periodEnd: Date;
  /** The subscription in its current state, if it is in this cycle. */
  cancelAtPeriodEnd: boolean;
  /** When the subscription ended, if it did. */
  endedAt: Date | null;
  /** The start of the next paid and granted cycle of this subscription, if any. */
  nextAllotmentAt: Date | null;
  /**
   * How long an allotment can be spent after the end of its period, in milliseconds, so that a slow payment stops no
   * work.
   */
  renewalGrace: number;
}

/**
 * When the credits of a subscription's cycle expire: at its end plus the grace; exactly at its end if it is canceled;
 * when the next allotment arrives; when the subscription ends. The earliest of these. Pure. The order in which the
 * facts became known does not matter.
 */
export function cycleExpiry({
  periodEnd,
  cancelAtPeriodEnd,
  endedAt,
  nextAllotmentAt,
  renewalGrace,
}: CycleFacts): Date {
  const end = periodEnd.getTime();
  return new Date(
    Math.min(
      cancelAtPeriodEnd ? end : end + renewalGrace,
      nextAllotmentAt?.getTime() ?? Number.POSITIVE_INFINITY,
      endedAt?.getTime() ?? Number.POSITIVE_INFINITY,
    ),
  );
}

/** A grant of a subscription's cycle, as far as its expiry depends on it. */
export interface CycleGrant extends Expiring {
  businessKey: string;
  periodStart: Date | null;
  periodEnd: Date | null;
  /** It arrived late or came back after its expiry, so it can be spent at least until then. */
  livesUntil: Date | null;
  createdAt: Date;
  /** Micro-credits. */
  expired: bigint;
}

/** The subscription's current state, as far as the expiry of its cycles depends on it. */
export interface SubscriptionState {
  currentPeriodStart: Date;
  cancelAtPeriodEnd: boolean;
  endedAt: Date | null;
}

export interface PlannedExpiry<G extends CycleGrant> {
  grant: G;
  /** The current end of its period. Polar may have moved it. */
  periodEnd: Date;
  expiresAt: Date;
  /** Why the expiry changes, if it does. */
  reason: string;
  /** Expired micro-credits that come back, because their cycle has not ended after all. */
  reinstated: bigint;
}

/**
 * The expiry of each grant of a subscription's cycles from the current facts. If a subscription is reinstated, the
 * credits that its end expired come back.
 *
 * @param cycles  the cycles that the subscription's paid lines have
 * @param state  null if no state of the subscription is known
 */
export function planCycleExpiries<G extends CycleGrant>(
  grants: readonly G[],
  cycles: readonly { start: Date; end: Date }[],
  state: SubscriptionState | null,
  { renewalGrace, lateAllotmentLife }: Pick<Catalog['policies'], 'renewalGrace' | 'lateAllotmentLife'>,
  now: Date,
): PlannedExpiry<G>[] {
  const starts = [...new Set(grants.map(startOf))].sort((a, b) => a - b);
  return grants.map((grant) => {
    const start = startOf(grant);
    const periodEnd = cycles.find((cycle) => cycle.start.getTime() === start)?.end ?? grant.periodEnd;
    if (!periodEnd) throw new Error(`the grant ${grant.businessKey} belongs to no cycle`);
    const next = starts.find((other) => other > start);
    const cancelAtPeriodEnd =
      state !== null && state.currentPeriodStart.getTime() === start && state.cancelAtPeriodEnd;
    const endedAt = state?.endedAt ?? null;
    const nextAllotmentAt = next === undefined ? null : new Date(next);
    const ofCycle = cycleExpiry({ periodEnd, cancelAtPeriodEnd, endedAt, nextAllotmentAt, renewalGrace });
    const livesUntil = endsEarly(grant, periodEnd, endedAt, lateAllotmentLife) ? null : grant.livesUntil;
    return {
      grant,
      periodEnd,
      expiresAt: livesUntil !== null && livesUntil > ofCycle ? livesUntil : ofCycle,
      reason: reasonOf(grant, { periodEnd, cancelAtPeriodEnd, endedAt, nextAllotmentAt }),
      reinstated: ofCycle > now ? grant.expired : 0n,
    };
  });
}

/** An allotment that arrived late does not count as late if its subscription ended before its cycle did. */
function endsEarly(
  { livesUntil, createdAt }: CycleGrant,
  periodEnd: Date,
  endedAt: Date | null,
  lateLifeMs: number,
): boolean {
  const arrivedLate = livesUntil?.getTime() === createdAt.getTime() + lateLifeMs;
  return arrivedLate && endedAt !== null && endedAt < periodEnd;
}

function startOf({ periodStart, businessKey }: CycleGrant): number {
  if (!periodStart) throw new Error(`the grant ${businessKey} belongs to no cycle`);
  return periodStart.getTime();
}

function reasonOf(
  { expiresAt }: CycleGrant,
  { periodEnd, cancelAtPeriodEnd, endedAt, nextAllotmentAt }: Omit<CycleFacts, 'renewalGrace'>,
): string {
  if (endedAt) return 'the subscription ended';
  if (nextAllotmentAt) return 'the next cycle was paid';
  if (cancelAtPeriodEnd) return 'cancelled at period end';
  return expiresAt?.getTime() === periodEnd.getTime()
    ? 'no longer cancelled'
    : 'Polar moved the end of the period';
}
