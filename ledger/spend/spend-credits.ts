import { randomUUIDv7 } from 'node:crypto';
import { DomainError } from '../../domain-error.ts';
import {
  available,
  type BatchState,
  type Changes,
  drawCredits,
  move,
  recordDebit,
  type TeamState,
} from './batch-state.ts';
import { countAgainst, limitsOn, refuseOverLimit, requireMember } from './limits.ts';
import type { Outcome, SpendOperation } from './operation.ts';
import { makeReceipt } from './receipt.ts';

/** The maximum by which callers' clocks may be ahead of ours. */
const toleratedSkewMs = 5 * 60_000;

/**
 * Debits priced usage from the team's credits, in burn order, under the consumer's limits.
 * @throws DomainError `insufficient_credits`, `limit_reached`, `occurred_at_out_of_range`, `member_required`,
 *   `member_not_in_team`
 */
export function spendCredits(
  operation: SpendOperation,
  team: TeamState,
  state: BatchState,
  changes: Changes,
): Outcome {
  const occurredAt = occurrence(operation, state);
  const { credits } = operation.priced;
  requireMember(team, operation);
  const limits = limitsOn(team, operation, state.now);
  const draws = drawCredits(team, credits, state.now);
  refuseOverLimit(limits, credits, team.cycle);

  const id = randomUUIDv7();
  for (const { lot, credits } of draws) {
    move(changes, operation, lot, {
      kind: 'spend',
      from: 'available',
      to: 'consumed',
      amount: credits,
      cause: { event: id },
    });
  }
  countAgainst(limits, { consumed: credits });
  const paid = draws.map(({ lot, credits }) => ({ grantId: lot.id, source: lot.source, credits }));
  const receipt = makeReceipt(id, operation, operation.priced, paid, available(team, state.now), null);
  return recordDebit(operation, receipt, operation, occurredAt, state, changes);
}

/**
 * Usage is accepted only while its key can still be found: within the policy, and after every usage whose key has been
 * deleted so far. A shorter policy deletes keys, and a longer one does not bring them back.
 */
function occurrence({ occurred }: SpendOperation, { now, keysDeletedUpTo }: BatchState): Date {
  if (!occurred) return now;
  const earliest = new Date(Math.max(now.getTime() - occurred.maxAgeMs, keysDeletedUpTo.getTime() + 1));
  const latest = new Date(now.getTime() + toleratedSkewMs);
  if (occurred.at >= earliest && occurred.at <= latest) return occurred.at;
  throw new DomainError(
    'occurred_at_out_of_range',
    `occurredAt must lie between ${earliest.toISOString()} and now: a retry of older usage could not be recognised`,
    { earliest: earliest.toISOString() },
  );
}
