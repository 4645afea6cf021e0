import type { PricedUsage } from '../../catalog/price-usage.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { StoredReceiptLine } from '../../database/entities/usage-event.ts';
import type { DomainError } from '../../domain-error.ts';

/** What every operation on a team's credits carries. */
interface Keyed {
  teamId: string;
  /**
   * The caller's key, unique within the team: sent again with the same body, the same answer comes back and nothing
   * happens. Null for our own sweep, which needs none.
   */
  idempotencyKey: string | null;
  /** SHA-256 of the parsed request. */
  bodyHash: Buffer;
}

/** Who consumes, as far as the caller says. */
interface Consumer {
  memberId?: string | undefined;
  apiKeyId?: string | undefined;
}

/** A debit of what was consumed. */
export interface SpendOperation extends Keyed, Consumer {
  kind: 'spend';
  action: string;
  priced: PricedUsage;
  priceVersion: number;
  /** When it was consumed; if not given, at the debit. `maxAgeMs`: how long ago it may be, by the catalog's policy. */
  occurred?: { at: Date; maxAgeMs: number } | undefined;
  metadata?: Record<string, unknown> | undefined;
}

/** Sets credits aside for work whose cost is known only later. */
export interface HoldOperation extends Keyed, Consumer {
  kind: 'hold';
  action: string;
  /** Micro-credits; >= 0. */
  credits: bigint;
  priceVersion: number;
  /** Milliseconds. */
  life: number;
  /** How long it may live with extensions, in milliseconds. */
  longestLife: number;
}

/** Debits what the held work has cost in the end: less than was held, the same, or more. */
export interface CaptureOperation extends Keyed {
  kind: 'capture';
  holdId: string;
  priced: PricedUsage;
  metadata?: Record<string, unknown> | undefined;
}

/** Gives held credits back. */
export interface ReleaseOperation extends Keyed {
  kind: 'release';
  holdId: string;
}

/** Lets a hold live for so long from now. */
export interface ExtendOperation extends Keyed {
  kind: 'extend';
  holdId: string;
  /** Milliseconds. */
  life: number;
}

/** Frees a hold whose time is over. */
export interface LapseOperation extends Keyed {
  kind: 'lapse';
  holdId: string;
  idempotencyKey: null;
}

export type Operation =
  | SpendOperation
  | HoldOperation
  | CaptureOperation
  | ReleaseOperation
  | ExtendOperation
  | LapseOperation;

/** What a debit answers with; the same each time its key is sent. Credits in micro-credits, lines as decimal strings. */
export interface Receipt {
  id: string;
  action: string;
  credits: bigint;
  lines: StoredReceiptLine[];
  /** Which grants paid, each once, in the order in which they were drawn. */
  grants: { grantId: string; source: GrantSource; credits: bigint }[];
  priceVersion: number;
  /** The hold that was captured, if one was. */
  holdId: string | null;
  /** What the team could spend right after this debit. */
  balance: { available: bigint };
}

/** How a hold stands after an operation on it, as the caller is answered: credits as a decimal string. */
export interface HoldAnswer {
  id: string;
  status: 'open' | 'released';
  credits: string;
  /** ISO 8601. */
  expiresAt: string;
}

/** Where a usage event is stored. */
export interface EventLocation {
  teamId: string;
  id: string;
  occurredAt: Date;
}

/** What becomes of an operation. */
export type Outcome =
  | { kind: 'debited'; receipt: Receipt }
  | { kind: 'held'; answer: HoldAnswer }
  /** Nothing happens: the receipt is that of an earlier event. */
  | { kind: 'replayed'; event: EventLocation }
  | { kind: 'refused'; error: DomainError };
