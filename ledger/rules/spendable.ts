/** The field that decides whether a grant's credits can be spent. Every grant has it. */
export interface Expiring {
  /** Null: lifetime credits. */
  expiresAt: Date | null;
}

/** Credits are expired from `expiresAt` on, even if the transfer is not written yet. */
export function isExpired({ expiresAt }: Expiring, now: Date): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** Whether some of a grant's credits can be spent at `now`. */
export function isSpendable(grant: Expiring & { available: bigint }, now: Date): boolean {
  return grant.available > 0n && !isExpired(grant, now);
}
