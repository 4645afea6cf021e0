import { formatCredits } from '../../catalog/credits.ts';
import type { Cycle } from '../../catalog/cycle.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { HoldStatus } from '../../database/entities/hold.ts';
import type { Limit } from '../../database/entities/limit.ts';
import { DomainError } from '../../domain-error.ts';
import type { Message } from '../../outbox/messages.ts';
import type { AlertState } from '../rules/alerts.ts';
import { allocate, type Draw } from '../rules/burn-order.ts';
import { isSpendable, type Move, moveBetween } from '../rules/grant.ts';
import type {
  Attribution,
  CaptureOperation,
  EventLocation,
  HoldAnswer,
  Operation,
  Outcome,
  Receipt,
  SpendOperation,
  StoredAttribution,
} from './operation.ts';

/**
 * The state of a batch's teams under their locks. Deciding an operation updates it and records what must be written,
 * so the next operation sees the result.
 */
export interface BatchState {
  /** The one clock, read after the locks. */
  now: Date;
  /** A missing team does not exist. */
  teams: Map<string, TeamState>;
  /** By `keyOf`. */
  keys: Map<string, KnownKey>;
  /** The holds that operations of the batch name, and the lapsed ones of teams without enough credits. */
  holds: Map<string, HoldState>;
  /** Keys of usage that occurred until then may have been deleted, so a retry of it could not be recognised. */
  keysDeletedUpTo: Date;
}

export interface TeamState {
  deleted: boolean;
  /** The number of open, unexpired holds. Read only if an operation creates a hold. */
  openHolds: number;
  /**
   * The first spendable grants and those on which the holds draw, in burn order. For a team in debt every open grant.
   */
  grants: GrantState[];
  /** The spendable micro-credits of the grants that were not read. */
  unread: bigint;
  /** Whether any member has a limit: then usage must name a member. */
  limitsMembers: boolean;
  /** Which of the named consumers are members. Read only if the team has limits. */
  members: Set<string>;
  /** The limits of the named consumers. */
  limits: LimitState[];
  /** Debts that are not completely settled, oldest first. */
  debts: DebtState[];
  /** The subscription's current cycle, for limits per cycle. */
  cycle: Cycle | null;
  alerts: {
    /** The thresholds of `credits.low`, as they were set. */
    lowBalance: readonly string[];
    state: AlertState;
    changed: boolean;
  };
}

export interface GrantState {
  id: string;
  source: GrantSource;
  businessKey: string;
  effectiveAt: Date;
  expiresAt: Date | null;
  /** The key of its debt; null if no money paid for it. */
  debtKey: string | null;
  available: bigint;
  held: bigint;
  /** Whether it can be drawn on: every grant before it in burn order was read too. */
  inOrder: boolean;
}

/** If the window of `consumed` is over, `consumed` counts as 0. */
export interface LimitState extends Omit<Limit, 'teamId' | 'countedSince'> {
  changed: boolean;
  /** Whether `total` has changed. */
  consumedMore: boolean;
  /** Whether it refused an operation of the batch. */
  refused: boolean;
}

export interface DebtState {
  key: string;
  /** Whether lifetime credits may settle it. */
  lifetime: boolean;
  owed: bigint;
  settled: bigint;
  /** The payments of grants for it in this batch, in micro-credits. */
  payments: { grantId: string; credits: bigint }[];
  changed: boolean;
}

export interface HoldState extends StoredAttribution {
  id: string;
  teamId: string;
  action: string;
  credits: bigint;
  priceVersion: number;
  status: HoldStatus;
  expiresAt: Date;
  /** The latest possible expiry, with extensions. */
  latestExpiry: Date;
  /** The grants that hold its credits. */
  draws: { grantId: string; credits: bigint }[];
  /** The usage event that captured it. */
  event: (EventLocation & { credits: bigint }) | null;
  changed: 'new' | 'changed' | null;
}

/** What must be read for some teams in addition to what every operation needs. By team id. */
export interface Reading {
  /** Their lapsed holds: releasing them may make room for a refused operation. */
  lapsedHolds: ReadonlySet<string>;
  /** Every open grant, because the first ones are not enough. */
  allGrants: ReadonlySet<string>;
}

/** A stored key and its result. */
export type KnownKey = { bodyHash: Buffer } & ({ event: EventLocation } | { answer: HoldAnswer });

/** A caller's key is unique within its team. */
export function keyOf(teamId: string, idempotencyKey: string): string {
  return `${teamId} ${idempotencyKey}`;
}

/** The grants that were read are not enough, and the team has others: read all of them and decide again. */
export class MoreGrantsNeeded extends Error {}

/**
 * Chooses the team's grants that pay `credits` micro-credits, in burn order. Moves nothing yet.
 * @param required  the need of the whole operation, if this is only a part of it
 * @throws DomainError `insufficient_credits` {required, available}
 * @throws MoreGrantsNeeded
 */
export function drawCredits(
  team: TeamState,
  credits: bigint,
  now: Date,
  required = credits,
): Draw<GrantState>[] {
  const { draws, short } = allocate(drawable(team, now), credits);
  if (short === 0n) return draws;
  const missing = credits - available(team, now);
  if (missing <= 0n) throw new MoreGrantsNeeded();
  const details = { required: formatCredits(required), available: formatCredits(required - missing) };
  throw new DomainError(
    'insufficient_credits',
    `This needs ${details.required} credits, and the team has ${details.available}`,
    details,
  );
}

/** The grants that can be drawn on at `now`, in burn order. */
export function drawable(team: TeamState, now: Date): GrantState[] {
  return team.grants.filter((grant) => grant.inOrder && isSpendable(grant, now));
}

/** The micro-credits that a team can spend at `now`, from all its grants. */
export function available(team: TeamState, now: Date): bigint {
  return team.grants.reduce(
    (total, grant) => (isSpendable(grant, now) ? total + grant.available : total),
    team.unread,
  );
}

/** Everything that the operations of a batch write, in one transaction. */
export interface Changes {
  keys: KeyRow[];
  events: EventRow[];
  moves: MoveRow[];
  /** To other systems. */
  messages: Message[];
}

export interface KeyRow {
  teamId: string;
  key: string;
  bodyHash: Buffer;
  /** The usage event from which the answer is rebuilt, or the answer itself. */
  event: { id: string; occurredAt: Date } | null;
  answer: { status: 200 | 201; body: HoldAnswer } | null;
}

export interface EventRow extends StoredAttribution {
  teamId: string;
  occurredAt: Date;
  receipt: Receipt;
  metadata: Record<string, unknown> | null;
}

/** A transfer and its cause: a usage event, or the business key or id in `reference`. */
export interface MoveRow extends Omit<Move, 'reference'> {
  teamId: string;
  cause: { event: string } | { reference: string };
}

export function noChanges(): Changes {
  return { keys: [], events: [], moves: [], messages: [] };
}

/** Moves credits of a grant, if any: updates the grant's state and records the transfer together. */
export function move(
  changes: Changes,
  { teamId }: { teamId: string },
  grant: GrantState,
  moved: Omit<MoveRow, 'teamId' | 'grantId'>,
): void {
  if (moved.amount === 0n) return;
  moveBetween(grant, moved);
  changes.moves.push({ teamId, grantId: grant.id, ...moved });
}

/** Executes the moves of a plan. */
export function recordMoves(
  changes: Changes,
  team: TeamState,
  { teamId }: { teamId: string },
  moves: readonly Move[],
): void {
  for (const { grantId, reference, ...moved } of moves) {
    const grant = team.grants.find(({ id }) => id === grantId);
    if (!grant) throw new Error(`a plan moves credits of grant ${grantId}, which was not read`);
    move(changes, { teamId }, grant, { ...moved, cause: { reference } });
  }
}

/** Records the usage event of a debit and, under the caller's key, the event from which its receipt is rebuilt. */
export function recordDebit(
  operation: SpendOperation | CaptureOperation,
  receipt: Receipt,
  attribution: Attribution,
  occurredAt: Date,
  { keys }: BatchState,
  changes: Changes,
): Outcome {
  const { teamId, idempotencyKey, bodyHash, metadata } = operation;
  changes.events.push({
    teamId,
    occurredAt,
    receipt,
    ...storedAttribution(attribution),
    metadata: metadata ?? null,
  });
  const event = { teamId, id: receipt.id, occurredAt };
  if (idempotencyKey !== null) {
    keys.set(keyOf(teamId, idempotencyKey), { bodyHash, event });
    changes.keys.push({ teamId, key: idempotencyKey, bodyHash, event, answer: null });
  }
  return { kind: 'debited', receipt };
}

/** The attribution of an operation or a hold, as it is stored with it. */
export function storedAttribution({
  memberId,
  apiKeyId,
  runId,
  stepId,
  tags,
}: Attribution): StoredAttribution {
  return {
    memberId: memberId ?? null,
    apiKeyId: apiKeyId ?? null,
    runId: runId ?? null,
    stepId: stepId ?? null,
    tags: tags && Object.keys(tags).length > 0 ? tags : null,
  };
}

/** Records the current state of the hold under the caller's key. */
export function recordHold(
  { kind, teamId, idempotencyKey, bodyHash }: Operation,
  hold: HoldState,
  { keys }: BatchState,
  changes: Changes,
): Outcome {
  const answer = holdAnswer(hold);
  if (idempotencyKey !== null) {
    keys.set(keyOf(teamId, idempotencyKey), { bodyHash, answer });
    changes.keys.push({
      teamId,
      key: idempotencyKey,
      bodyHash,
      event: null,
      answer: { status: kind === 'hold' ? 201 : 200, body: answer },
    });
  }
  return { kind: 'held', answer };
}

/** The answer to an operation on a hold. */
export function holdAnswer({ id, status, credits, expiresAt }: HoldState): HoldAnswer {
  return {
    id,
    status: status === 'open' ? 'open' : 'released',
    credits: formatCredits(credits),
    expiresAt: expiresAt.toISOString(),
  };
}
