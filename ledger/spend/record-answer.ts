import { formatCredits } from '../../catalog/credits.ts';
import { type Attribution, storedAttribution } from './attribution.ts';
import { type BatchState, type HoldState, keyOf } from './batch-state.ts';
import type { Changes } from './changes.ts';
import type {
  CaptureOperation,
  HoldAnswer,
  Operation,
  Outcome,
  Receipt,
  SpendOperation,
} from './operation.ts';

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
