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
