import { randomUUIDv7 } from 'node:crypto';
import { formatCredits } from '../../catalog/credits.ts';
import { DomainError } from '../../domain-error.ts';
import { allocate } from '../rules/burn-order.ts';
import {
  available,
  type BatchState,
  type Changes,
  drawCredits,
  type GrantState,
  move,
  recordDebit,
  type TeamState,
} from './batch-state.ts';
import { drawsOf, lockedHoldOf, requireOpen } from './holds.ts';
import { countAgainst, limitsOn, refuseOverLimit } from './limits.ts';
import type { CaptureOperation, Outcome, Receipt } from './operation.ts';
import { makeReceipt } from './receipt.ts';
import { releaseHeld } from './release-held.ts';

/**
 * Debits the real cost of a hold: if it is less than the held credits, the rest is released; if it is more, available
 * credits pay the difference.
 * @throws DomainError `insufficient_credits`, `limit_reached`, `unknown_hold`, `hold_captured`, `hold_expired`,
 *   `hold_released`
 */
export function captureHold(
  operation: CaptureOperation,
  team: TeamState,
  state: BatchState,
  changes: Changes,
): Outcome {
  const hold = lockedHoldOf(operation, state);
  const { credits } = operation.priced;
  if (hold.status === 'captured' && hold.event) {
    if (hold.event.credits === credits) return { kind: 'replayed', event: hold.event };
    throw new DomainError(
      'hold_captured',
      `This hold was captured for ${formatCredits(hold.event.credits)} credits`,
    );
  }
  requireOpen(hold, state.now);

  // Held credits pay first. The excess is paid from the available credits, under the limits.
  const lots = drawsOf(hold, team).map(({ grant, credits }) => ({ id: grant.id, available: credits, grant }));
  const fromHeld = allocate(lots, credits);
  const limits = limitsOn(team, hold, state.now);
  const excess = fromHeld.short > 0n ? drawCredits(team, fromHeld.short, state.now, credits) : [];
  if (fromHeld.short > 0n) refuseOverLimit(limits, fromHeld.short, team.cycle);

  const id = randomUUIDv7();
  const paid: Receipt['grants'] = [];
  const pay = (grant: GrantState, from: 'held' | 'available', amount: bigint) => {
    move(changes, operation, grant, { kind: 'capture', from, to: 'consumed', amount, cause: { event: id } });
    const before = paid.find(({ grantId }) => grantId === grant.id);
    if (before) before.credits += amount;
    else paid.push({ grantId: grant.id, source: grant.source, credits: amount });
  };
  for (const { lot, credits } of fromHeld.draws) pay(lot.grant, 'held', credits);
  for (const { lot, credits } of excess) pay(lot, 'available', credits);
  const unused = lots.map(({ id, grant, available }) => {
    const used = fromHeld.draws.find(({ lot }) => lot.id === id)?.credits ?? 0n;
    return { grant, credits: available - used };
  });
  releaseHeld(
    changes,
    team,
    hold,
    unused.filter(({ credits }) => credits > 0n),
    state.now,
  );
  countAgainst(limits, { consumed: credits, held: -hold.credits });

  const receipt = makeReceipt(id, hold, operation.priced, paid, available(team, state.now), hold.id);
  hold.status = 'captured';
  team.openHolds -= 1;
  hold.changed ??= 'changed';
  hold.event = { teamId: hold.teamId, id, occurredAt: state.now, credits };
  return recordDebit(operation, receipt, hold, state.now, state, changes);
}
