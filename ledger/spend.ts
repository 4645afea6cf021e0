import type { PricedUsage } from '../catalog/price-usage.ts';
import type { GrantSource } from '../database/entities/grant.ts';
import type { StoredReceiptLine } from '../database/entities/usage-event.ts';

/** One priced consumption, ready to be debited. */
export interface Spend {
  teamId: string;
  /** The caller's key: sent again with the same body, the same receipt comes back and nothing is debited. */
  idempotencyKey: string;
  /** SHA-256 of the parsed body. */
  bodyHash: Buffer;
  action: string;
  priced: PricedUsage;
  priceVersion: number;
  memberId?: string | undefined;
  apiKeyId?: string | undefined;
  /** When it was consumed; the moment of the debit where the caller does not say. */
  occurredAt?: Date | undefined;
  metadata?: Record<string, unknown> | undefined;
}

/** What a debit answers with; the same each time its key is sent. Credits in micro-credits, lines as decimal strings. */
export interface Receipt {
  id: string;
  action: string;
  credits: bigint;
  lines: StoredReceiptLine[];
  /** Which grants paid, in burn order. */
  grants: { grantId: string; source: GrantSource; credits: bigint }[];
  priceVersion: number;
  /** What the team could spend right after this debit. */
  balance: { available: bigint };
}

/** Where a usage event is stored. */
export interface EventLocation {
  teamId: string;
  id: string;
  occurredAt: Date;
}
