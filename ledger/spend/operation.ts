import type { PricedUsage } from '../../catalog/price-usage.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { StoredReceiptLine, Tags } from '../../database/entities/usage-event.ts';
import type { DomainError } from '../../domain-error.ts';

/** The common fields of all operations on a team's credits. */
interface Keyed {
  teamId: string;
  /**
   * The caller's key, unique within the team: with the same body it returns the same answer and does nothing. Null for
   * our own sweep, which needs none.
   */
  idempotencyKey: string | null;
  /** SHA-256 of the parsed request. */
  bodyHash: Buffer;
}

/** A debit of usage. */
export interface SpendOperation extends Keyed, Attribution {
  kind: 'spend';
  action: string;
  priced: PricedUsage;
  priceVersion: number;
  /** When it was consumed; default: at the debit. `maxAgeMs`: the maximum age, by the catalog's policy. */
  occurred?: { at: Date; maxAgeMs: number } | undefined;
  metadata?: Record<string, unknown> | undefined;
}

/** Holds credits for work whose cost is known later. */
export interface HoldOperation extends Keyed, Attribution {
  kind: 'hold';
  action: string;
  /** Micro-credits; >= 0. */
  credits: bigint;
  priceVersion: number;
  /** Milliseconds. */
  ttlMs: number;
  /** The maximum lifetime with extensions, in milliseconds. */
  maxTtlMs: number;
  /** How many holds of the team may be open at once. */
  maxOpenHolds: number;
}

/** Debits the real cost of the held work: less than the held credits, the same, or more. */
export interface CaptureOperation extends Keyed {
  kind: 'capture';
  holdId: string;
  priced: PricedUsage;
  metadata?: Record<string, unknown> | undefined;
}

/** Releases held credits. */
export interface ReleaseOperation extends Keyed {
  kind: 'release';
  holdId: string;
}

/** Sets a hold's expiry, counted from now. */
export interface ExtendOperation extends Keyed {
  kind: 'extend';
  holdId: string;
  /** Milliseconds. */
  ttlMs: number;
}

/** Releases a hold after its expiry. */
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

/**
 * The answer to a debit, the same for each request with its key. Credits in micro-credits, lines as decimal strings.
 */
export interface Receipt {
  id: string;
  action: string;
  credits: bigint;
  lines: StoredReceiptLine[];
  /** The grants that paid, each once, in the order in which they were drawn. */
  grants: { grantId: string; source: GrantSource; credits: bigint }[];
  priceVersion: number;
  /** The hold that was captured, if any. */
  holdId: string | null;
  /** The team's spendable credits right after this debit. */
  balance: { available: bigint };
}

/** The state of a hold after an operation, as the caller's answer: credits as a decimal string. */
export interface HoldAnswer {
  id: string;
  status: 'open' | 'released';
  credits: string;
  /** ISO 8601. */
  expiresAt: string;
}

/** The position of a stored usage event. */
export interface EventLocation {
  teamId: string;
  id: string;
  occurredAt: Date;
}

/** The outcome of an operation. */
export type Outcome =
  | { kind: 'debited'; receipt: Receipt }
  | { kind: 'held'; answer: HoldAnswer }
  /** A replay: the receipt is that of an earlier event. */
  | { kind: 'replayed'; event: EventLocation }
  | { kind: 'refused'; error: DomainError };

/** Who consumes, and what for, as far as the caller names it. */
export interface Attribution {
  memberId?: string | null | undefined;
  apiKeyId?: string | null | undefined;
  /** The workflow run that the usage is part of, and the step of that run. */
  runId?: string | null | undefined;
  stepId?: string | null | undefined;
  /** Up to five. */
  tags?: Tags | null | undefined;
}

/** As stored: null if it was not named. No tags are null too. */
export type StoredAttribution = {
  [Field in keyof Required<Attribution>]: NonNullable<Attribution[Field]> | null;
};

/** The columns of an attribution. */
export interface AttributionRow {
  member_id: string | null;
  api_key_id: string | null;
  run_id: string | null;
  step_id: string | null;
  tags: Tags | null;
}

export function toAttribution(row: AttributionRow): StoredAttribution {
  return {
    memberId: row.member_id,
    apiKeyId: row.api_key_id,
    runId: row.run_id,
    stepId: row.step_id,
    tags: row.tags,
  };
}
