import type { GrantSource } from '../../database/entities/grant.ts';
import type { HoldStatus } from '../../database/entities/hold.ts';
import type { LimitPeriod, LimitSubject } from '../../database/entities/limit.ts';
import type { EventLocation, HoldAnswer } from './operation.ts';

/**
 * The teams of a batch as they stand under their locks. Deciding an operation draws it down and records what is to be
 * written, so that the next operation sees what the one before it left.
 */
export interface Standing {
  /** The one clock, read after the locks. */
  now: Date;
  /** Missing: there is no such team. */
  teams: Map<string, TeamStanding>;
  /** By `keyOf`. */
  keys: Map<string, KnownKey>;
  /** Those that operations of the batch name, and the lapsed ones of teams that ran short. */
  holds: Map<string, HoldStanding>;
  /** Keys of usage that occurred up to then may have been deleted: nothing would recognise a retry of it. */
  keysDeletedUpTo: Date;
}

export interface TeamStanding {
  deleted: boolean;
  /** The first grants that can be spent and those that the holds draw on, in burn order. Of a team in debt every open grant. */
  grants: GrantStanding[];
  /** Micro-credits that can be spent of the grants that were not read. */
  unread: bigint;
  /** Whether any member has a limit: then usage must name a member. */
  limitsMembers: boolean;
  /** Of those whom the operations name: who is a member. Read only if the team has limits. */
  members: Set<string>;
  /** The limits of those whom the operations name. */
  limits: LimitStanding[];
  /** Debts that are not settled, oldest first. */
  debts: DebtStanding[];
  /** Start of the subscription's current cycle, for caps per cycle. */
  cycleStart: Date | null;
}

export interface GrantStanding {
  id: string;
  source: GrantSource;
  businessKey: string;
  effectiveAt: Date;
  expiresAt: Date | null;
  /** What its debt goes by; null where no money paid for it. */
  debtKey: string | null;
  available: bigint;
  held: bigint;
  /** Whether it can be drawn on: every grant before it in burn order was read too. */
  inOrder: boolean;
}

export interface LimitStanding {
  subject: LimitSubject;
  subjectId: string;
  /** The cap, in micro-credits. */
  credits: bigint;
  per: LimitPeriod;
  /** The window that `consumed` counts; one that is over counts for nothing. */
  windowStart: Date;
  consumed: bigint;
  held: bigint;
  /** If not, it only counts. */
  active: boolean;
  counterId: bigint;
  /** What the subject consumed in all since the limit was set. */
  total: bigint;
  changed: boolean;
  /** Whether `total` has changed. */
  consumedMore: boolean;
}

export interface DebtStanding {
  key: string;
  /** Whether lifetime credits may settle it. */
  lifetime: boolean;
  owed: bigint;
  settled: bigint;
  /** What grants paid of it in this batch, in micro-credits. */
  payments: { grantId: string; credits: bigint }[];
  changed: boolean;
}

export interface HoldStanding {
  id: string;
  teamId: string;
  action: string;
  credits: bigint;
  priceVersion: number;
  memberId: string | null;
  apiKeyId: string | null;
  status: HoldStatus;
  expiresAt: Date;
  /** No extension goes beyond this. */
  latestExpiry: Date;
  /** Which grants hold it. */
  draws: { grantId: string; credits: bigint }[];
  /** What captured it. */
  event: (EventLocation & { credits: bigint }) | null;
  changed: 'new' | 'changed' | null;
}

/** What is read of some teams beyond what every operation needs. By team id. */
export interface Reading {
  /** Their lapsed holds: what those set aside may make room for an operation that was refused. */
  lapsedHolds: ReadonlySet<string>;
  /** Every open grant: the first ones do not suffice. */
  allGrants: ReadonlySet<string>;
}

/** A key that was sent before, and what came of it. */
export type KnownKey = { bodyHash: Buffer } & ({ event: EventLocation } | { answer: HoldAnswer });

/** A caller's key is the caller's within its team. */
export function keyOf(teamId: string, idempotencyKey: string): string {
  return `${teamId} ${idempotencyKey}`;
}
