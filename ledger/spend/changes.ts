import { formatCredits } from '../../catalog/credits.ts';
import type { Message } from '../../outbox/messages.ts';
import { type Move, moveBetween } from '../rules/move.ts';
import { type Attribution, type StoredAttribution, storedAttribution } from './attribution.ts';
import { type BatchState, type GrantState, type HoldState, keyOf, type TeamState } from './batch-state.ts';
import type {
  CaptureOperation,
  HoldAnswer,
  Operation,
  Outcome,
  Receipt,
  SpendOperation,
} from './operation.ts';

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
