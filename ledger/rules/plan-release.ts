import type { Move } from './move.ts';
import { type Expiring, isExpired } from './spendable.ts';

/** What a hold gives back of one grant. */
export interface HeldPart extends Expiring {
  grantId: string;
  /** What its grant's debt goes by; null if no money paid for the grant. */
  debtKey: string | null;
  /** Micro-credits; > 0. */
  credits: bigint;
}

export interface Release {
  moves: Move[];
  /** By how much debts become smaller, by their key: what is gone from an order's own grants was never lent. */
  forgiven: Map<string, bigint>;
}

/**
 * Gives back what a hold set aside. Expired credits expire. Credits of an order with a debt are taken back first, which makes
 * the debt smaller. The rest can be spent again; the team's debts are settled after that (`planSettlement`), so that no other
 * credits pay what an order's own can.
 *
 * @param owed  what is outstanding of debts, by their key, in micro-credits
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
