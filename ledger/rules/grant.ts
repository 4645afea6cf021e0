import type { Account, TransferKind } from '../../database/entities/transfer.ts';

/** A planned transfer: moves credits of a grant between two of its accounts. */
export interface Move {
  grantId: string;
  kind: TransferKind;
  from: Account;
  to: Exclude<Account, 'issued'>;
  /** Micro-credits; > 0. */
  amount: bigint;
  /** The business key or id of its cause. */
  reference: string;
}

/** The accounts of a grant that a plan needs. The others may be missing. */
export type Accounts = { [account in Account]?: bigint };

/**
 * Moves credits between two accounts of a grant. A missing account is not changed.
 * @throws Error if nothing would move, or an account would fall below zero
 */
export function moveBetween(
  accounts: Accounts,
  { from, to, amount }: Pick<Move, 'from' | 'to' | 'amount'>,
): void {
  if (amount <= 0n) throw new Error(`a transfer must move more than ${amount} micro-credits`);
  const source = accounts[from];
  if (source !== undefined) {
    if (source < amount) throw new Error(`a grant has ${source} micro-credits ${from}, not ${amount}`);
    accounts[from] = source - amount;
  }
  const target = accounts[to];
  if (target !== undefined) accounts[to] = target + amount;
}

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

/**
 * Forfeits all credits of a deleted team. Its holds must be released, its expired credits expired and its debts
 * settled before.
 */
export function planForfeit(grants: readonly { id: string; available: bigint }[], teamId: string): Move[] {
  return grants
    .filter(({ available }) => available > 0n)
    .map(({ id, available }) => ({
      grantId: id,
      kind: 'forfeit',
      from: 'available',
      to: 'revoked',
      amount: available,
      reference: `team.deleted:${teamId}`,
    }));
}
