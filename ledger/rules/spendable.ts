/** What decides whether a grant's credits can be spent. Every grant is one. */
export interface Expiring {
  /** Null: lifetime. */
  expiresAt: Date | null;
}

/** Credits are expired from the instant of their expiry on, whether that is booked or not. */
export function isExpired({ expiresAt }: Expiring, now: Date): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** Whether some of a grant's credits can be spent at `now`. */
export function isSpendable(grant: Expiring & { available: bigint }, now: Date): boolean {
  return grant.available > 0n && !isExpired(grant, now);
}
