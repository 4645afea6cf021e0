import { formatCredits } from '../../catalog/credits.ts';
import { DomainError } from '../../domain-error.ts';
import { allocate } from '../rules/allocate.ts';
import { available, type Changes, move } from './changes.ts';
import { drawCredits } from './draw-credits.ts';
import { drawsOf, lockedHoldOf, requireOpen } from './holds.ts';
import { countAgainst, limitsOn, refuseOverLimit } from './limits.ts';
import { makeReceipt } from './make-receipt.ts';
import { newId } from './new-id.ts';
import type { CaptureOperation, Outcome, Receipt } from './operation.ts';
import { recordDebit } from './record-answer.ts';
import { releaseHeld } from './release-held.ts';
import type { GrantStanding, Standing, TeamStanding } from './standing.ts';

/**
 * Debits the real cost of a hold: if it is less than the held credits, the rest is released; if it is more, available
 * credits pay the difference.
 * @throws DomainError `insufficient_credits`, `limit_reached`, `unknown_hold`, `hold_captured`, `hold_expired`,
 *   `hold_released`
 */
export function captureHold(
  operation: CaptureOperation,
  team: TeamStanding,
  standing: Standing,
  changes: Changes,
): Outcome {
  const held = lockedHoldOf(operation, standing);
  const { credits } = operation.priced;
  if (held.status === 'captured' && held.event) {
    if (held.event.credits === credits) return { kind: 'replayed', event: held.event };
    throw new DomainError(
      'hold_captured',
      `This hold was captured for ${formatCredits(held.event.credits)} credits`,
    );
  }
  requireOpen(held, standing.now);

  // Held credits pay first. The excess is paid from the available credits, under the limits.
  const lots = drawsOf(held, team).map(({ grant, credits }) => ({ id: grant.id, available: credits, grant }));
  const fromHeld = allocate(lots, credits);
  const limits = limitsOn(team, held, standing.now);
  const excess = fromHeld.short > 0n ? drawCredits(team, fromHeld.short, standing.now, credits) : [];
  if (fromHeld.short > 0n) refuseOverLimit(limits, fromHeld.short);

  const id = newId();
  const paid: Receipt['grants'] = [];
  const pay = (grant: GrantStanding, from: 'held' | 'available', amount: bigint) => {
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
    held,
    unused.filter(({ credits }) => credits > 0n),
    standing.now,
  );
  countAgainst(limits, { consumed: credits, held: -held.credits });

  const receipt = makeReceipt(id, held, operation.priced, paid, available(team, standing.now), held.id);
  held.status = 'captured';
  team.openHolds -= 1;
  held.changed ??= 'changed';
  held.event = { teamId: held.teamId, id, occurredAt: standing.now, credits };
  return recordDebit(operation, receipt, held, standing.now, standing, changes, operation.metadata);
}
