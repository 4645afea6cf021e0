import type { Account, TransferKind } from '../../database/entities/transfer.ts';
import { isSpendable } from '../rules/spendable.ts';
import type { HoldAnswer, Receipt } from './operation.ts';
import type { GrantStanding, TeamStanding } from './standing.ts';

/** What the operations of a batch write, all of it in one transaction. */
export interface Changes {
  keys: KeyRow[];
  events: EventRow[];
  moves: MoveRow[];
}

export interface KeyRow {
  teamId: string;
  key: string;
  bodyHash: Buffer;
  /** Where the answer is rebuilt from, or the answer itself. */
  event: { id: string; occurredAt: Date } | null;
  answer: { status: 200 | 201; body: HoldAnswer } | null;
}

export interface EventRow {
  teamId: string;
  occurredAt: Date;
  receipt: Receipt;
  memberId: string | null;
  apiKeyId: string | null;
  metadata: Record<string, unknown> | null;
}

/** A transfer: `amount` micro-credits between two accounts of a grant. */
export interface MoveRow {
  teamId: string;
  grantId: string;
  kind: TransferKind;
  from: Account;
  to: Account;
  amount: bigint;
  /** The event that it pays for; else what it was made for. */
  event: string | null;
  reference: string | null;
}

export function noChanges(): Changes {
  return { keys: [], events: [], moves: [] };
}

/** Moves credits of a grant: draws down its standing and records the transfer, together. */
export function move(
  changes: Changes,
  team: { teamId: string },
  grant: GrantStanding,
  {
    kind,
    from,
    to,
    amount,
    event = null,
    reference = null,
  }: Omit<MoveRow, 'teamId' | 'grantId' | 'event' | 'reference'> &
    Partial<Pick<MoveRow, 'event' | 'reference'>>,
): void {
  if (amount === 0n) return;
  if (from === 'available' || from === 'held') grant[from] -= amount;
  if (to === 'available' || to === 'held') grant[to] += amount;
  if (grant.available < 0n || grant.held < 0n) throw new Error(`grant ${grant.id} would fall below zero`);
  changes.moves.push({ teamId: team.teamId, grantId: grant.id, kind, from, to, amount, event, reference });
}

/** The grants that can be drawn on at `now`, in burn order. */
export function drawable(team: TeamStanding, now: Date): GrantStanding[] {
  return team.grants.filter((grant) => grant.inOrder && isSpendable(grant, now));
}

/** Micro-credits that a team can spend at `now`, of all its grants. */
export function available(team: TeamStanding, now: Date): bigint {
  return team.grants.reduce(
    (total, grant) => (isSpendable(grant, now) ? total + grant.available : total),
    team.unread,
  );
}
