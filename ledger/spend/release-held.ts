import { planRelease } from '../rules/plan-release.ts';
import { planSettlement } from '../rules/plan-settlement.ts';
import {
  type Changes,
  type DebtState,
  drawable,
  type GrantState,
  type HoldState,
  recordMoves,
  type TeamState,
} from './batch-state.ts';

/**
 * Releases the held credits of some grants (`planRelease`), then settles the team's debts. All credits are released
 * before any debt is settled, so no other credits pay a debt that an order's own credits can pay.
 */
export function releaseHeld(
  changes: Changes,
  team: TeamState,
  hold: Pick<HoldState, 'id' | 'teamId'>,
  heldParts: readonly { grant: GrantState; credits: bigint }[],
  now: Date,
): void {
  const parts = heldParts.map(({ grant: { id, debtKey, expiresAt }, credits }) => {
    return { grantId: id, debtKey, expiresAt, credits };
  });
  const owed = new Map(team.debts.map((debt) => [debt.key, outstandingOf(debt)]));
  const { moves, forgiven } = planRelease(hold.id, parts, owed, now);
  recordMoves(changes, team, hold, moves);
  for (const debt of team.debts) {
    const less = forgiven.get(debt.key);
    if (less === undefined) continue;
    debt.owed -= less;
    debt.changed = true;
  }
  settle(changes, team, hold, now);
}

function settle(changes: Changes, team: TeamState, hold: { teamId: string }, now: Date): void {
  const debts = team.debts.filter((debt) => outstandingOf(debt) > 0n);
  if (debts.length === 0) return;
  if (team.unread > 0n) throw new Error(`team ${hold.teamId} is in debt and not all its grants were read`);
  const open = debts.map((debt) => {
    return { key: debt.key, lifetime: debt.lifetime, outstanding: outstandingOf(debt) };
  });
  for (const [index, { settled, moves }] of planSettlement(open, drawable(team, now)).entries()) {
    const debt = debts[index];
    if (!debt) throw new Error('a settlement must belong to a debt');
    if (settled === 0n) continue;
    recordMoves(changes, team, hold, moves);
    for (const { grantId, amount } of moves) debt.payments.push({ grantId, credits: amount });
    debt.settled += settled;
    debt.changed = true;
  }
}

function outstandingOf({ owed, settled }: DebtState): bigint {
  return owed - settled;
}
