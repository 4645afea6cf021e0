import { type Expiring, isExpired, type Move } from './grant.ts';

/** The part of a hold that one grant holds. */
export interface HeldPart extends Expiring {
  grantId: string;
  /** The key of its grant's debt; null if no money paid for the grant. */
  debtKey: string | null;
  /** Micro-credits; > 0. */
  credits: bigint;
}

export interface Release {
  moves: Move[];
  /** The reduction of each debt, by its key: credits taken back from the order's own grants reduce its debt. */
  forgiven: Map<string, bigint>;
}

/**
 * Releases the held credits of a hold. Expired credits expire. Credits of an order with a debt are taken back first,
 * which reduces the debt. The rest becomes available, and then settles the team's debts (`planSettlement`), so that no
 * other credits pay a debt that the order's own can pay.
 *
 * @param owed  the outstanding debts, by their key, in micro-credits
 */
export function planRelease(
  holdId: string,
  parts: readonly HeldPart[],
  owed: ReadonlyMap<string, bigint>,
  now: Date,
): Release {
  const moves: Move[] = [];
  const forgiven = new Map<string, bigint>();
  for (const part of parts) {
    const taken = part.debtKey === null ? 0n : smaller(part.credits, left(part.debtKey));
    if (part.debtKey !== null && taken > 0n)
      forgiven.set(part.debtKey, taken + (forgiven.get(part.debtKey) ?? 0n));
    const expired = isExpired(part, now);
    release(part, taken, expired ? 'expired' : 'revoked');
    release(part, part.credits - taken, expired ? 'expired' : 'available');
  }
  return { moves, forgiven };

  function left(debtKey: string): bigint {
    return (owed.get(debtKey) ?? 0n) - (forgiven.get(debtKey) ?? 0n);
  }

  function release({ grantId }: HeldPart, amount: bigint, to: Move['to']): void {
    if (amount === 0n) return;
    moves.push({ grantId, kind: 'release', from: 'held', to, amount, reference: `hold:${holdId}` });
  }
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
