import type { Move } from './move.ts';
import { type Expiring, isExpired } from './spendable.ts';

/** The fields of a grant that its expiry uses. */
export interface ExpiringGrant extends Expiring {
  id: string;
  businessKey: string;
  /** Micro-credits. */
  available: bigint;
}

/** Expires what has expired at `now`. Held credits stay, so that their hold can be captured. */
export function planExpiry(grants: readonly ExpiringGrant[], now: Date): Move[] {
  return grants
    .filter((grant) => grant.available > 0n && isExpired(grant, now))
    .map(({ id, businessKey, available }) => ({
      grantId: id,
      kind: 'expire',
      from: 'available',
      to: 'expired',
      amount: available,
      reference: businessKey,
    }));
}
