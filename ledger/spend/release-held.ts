import { allocate } from '../rules/allocate.ts';
import { isExpired } from '../rules/spendable.ts';
import { type Changes, drawable, move } from './changes.ts';
import type { DebtStanding, GrantStanding, HoldStanding, TeamStanding } from './standing.ts';

type Hold = Pick<HoldStanding, 'id' | 'teamId'>;

/**
 * Gives back what a hold has of some grants: expired credits expire; those of an order with a debt pay it first; the rest
 * can be spent again, after the team's debts took theirs. All of it is back before any debt is settled: what an order's own
 * credits pay, no other credits pay for it.
 */
export function releaseHeld(
  changes: Changes,
  team: TeamStanding,
  hold: Hold,
  held: readonly { grant: GrantStanding; credits: bigint }[],
  now: Date,
): void {
  for (const { grant, credits } of held) releaseOne(changes, team, hold, grant, credits, now);
  for (const debt of team.debts) settle(changes, team, hold.teamId, debt, now);
}

function releaseOne(
  changes: Changes,
  team: TeamStanding,
  hold: Hold,
  grant: GrantStanding,
  credits: bigint,
  now: Date,
): void {
  const reference = `hold:${hold.id}`;
  const own = team.debts.find((debt) => debt.key === grant.debtKey);
  const owed = own ? own.owed - own.settled : 0n;
  const paid = owed < credits ? owed : credits;
  const expired = isExpired(grant, now);
  move(changes, hold, grant, {
    kind: 'release',
    from: 'held',
    to: expired ? 'expired' : 'revoked',
    amount: paid,
    reference,
  });
  move(changes, hold, grant, {
    kind: 'release',
    from: 'held',
    to: expired ? 'expired' : 'available',
    amount: credits - paid,
    reference,
  });
  if (own && paid > 0n) {
    own.owed -= paid; // what is gone from the order's own grants was never lent
    own.changed = true;
  }
}

/** Pays a debt from what the team has, in burn order; a subscription's never takes lifetime credits. */
function settle(changes: Changes, team: TeamStanding, teamId: string, debt: DebtStanding, now: Date): void {
  const outstanding = debt.owed - debt.settled;
  if (outstanding === 0n) return;
  if (team.unread > 0n) throw new Error(`team ${teamId} is in debt and not all of its grants were read`);
  const payers = drawable(team, now).filter((grant) => debt.lifetime || grant.expiresAt !== null);
  const { draws, short } = allocate(payers, outstanding);
  for (const { lot, credits } of draws) {
    move(changes, { teamId }, lot, {
      kind: 'settle',
      from: 'available',
      to: 'settled',
      amount: credits,
      reference: `debt:${debt.key}`,
    });
    debt.payments.push({ grantId: lot.id, credits });
  }
  if (draws.length === 0) return;
  debt.settled = debt.owed - short;
  debt.changed = true;
}
