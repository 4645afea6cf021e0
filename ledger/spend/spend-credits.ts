import { DomainError } from '../../domain-error.ts';
import { available, type Changes, move } from './changes.ts';
import { drawCredits } from './draw-credits.ts';
import { countAgainst, limitsOn, refuseOverLimit, requireMember } from './limits.ts';
import { makeReceipt } from './make-receipt.ts';
import { newId } from './new-id.ts';
import type { Outcome, SpendOperation } from './operation.ts';
import { recordDebit } from './record-answer.ts';
import type { Standing, TeamStanding } from './standing.ts';

/** Callers' clocks may be ahead of ours by this much, in milliseconds. */
const toleratedSkew = 5 * 60_000;

/**
 * Debits priced usage from the shared pool, in burn order, under the consumer's caps.
 * @throws DomainError 402 `insufficient_credits`, `limit_reached`; 422 `occurred_at_out_of_range`, `member_required`
 */
export function spendCredits(
  operation: SpendOperation,
  team: TeamStanding,
  standing: Standing,
  changes: Changes,
): Outcome {
  const occurredAt = occurrence(operation, standing);
  const { credits } = operation.priced;
  requireMember(team, operation);
  const limits = limitsOn(team, operation, standing.now);
  const draws = drawCredits(team, credits, standing.now);
  refuseOverLimit(limits, credits);

  const id = newId();
  for (const { lot, credits } of draws) {
    move(changes, operation, lot, {
      kind: 'spend',
      from: 'available',
      to: 'consumed',
      amount: credits,
      event: id,
    });
  }
  countAgainst(limits, { consumed: credits });
  const paid = draws.map(({ lot, credits }) => ({ grantId: lot.id, source: lot.source, credits }));
  const receipt = makeReceipt(id, operation, operation.priced, paid, available(team, standing.now), null);
  return recordDebit(operation, receipt, operation, occurredAt, standing, changes);
}

function occurrence({ occurredAt }: SpendOperation, { now, keysKept }: Standing): Date {
  if (!occurredAt) return now;
  const age = now.getTime() - occurredAt.getTime();
  if (age <= keysKept && age >= -toleratedSkew) return occurredAt;
  const earliest = new Date(now.getTime() - keysKept).toISOString();
  throw new DomainError(422, 'occurred_at_out_of_range', `occurredAt lies between ${earliest} and now`, {
    earliest,
  });
}
