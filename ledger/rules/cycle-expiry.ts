/** What decides when a cycle's credits expire. */
export interface CycleFacts {
  periodEnd: Date;
  /** The subscription as Polar has it now, where it is in this cycle. */
  cancelAtPeriodEnd: boolean;
  /** When the subscription ended, if it did. */
  endedAt: Date | null;
  /** Start of the next cycle of this subscription that was paid and granted, if any. */
  nextAllotmentAt: Date | null;
  /** How long an allotment outlives its period, in milliseconds, so that a payment that takes a minute stops nobody. */
  renewalGrace: number;
}

/**
 * When the credits of a subscription's cycle expire: at its end plus the grace; exactly at its end once it is
 * cancelled; when the next allotment lands; when the subscription ends. Whichever is first. Pure, and the same in
 * whatever order the facts became known.
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
