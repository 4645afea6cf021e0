import { formatCredits } from '../../catalog/credits.ts';
import type { Cycle } from '../../catalog/cycle.ts';
import type { LimitPeriod } from '../../database/entities/limit.ts';
import { managerRoles } from '../../database/entities/member.ts';
import { DomainError } from '../../domain-error.ts';
import type { Message } from '../../outbox/messages.ts';
import type { LimitState, TeamState } from './batch-state.ts';
import type { Attribution } from './operation.ts';

type Consumer = Pick<Attribution, 'memberId' | 'apiKeyId'>;

/**
 * If a team limits its members, usage must name one of them, so that nobody can exceed a limit without a name or with
 * an invented one. We do not know the API keys, so usage need not name one.
 * @throws DomainError `member_required`, `member_not_in_team`
 */
export function requireMember(team: TeamState, { memberId }: Consumer): void {
  if (!team.limitsMembers) return;
  if (!memberId) {
    throw new DomainError(
      'member_required',
      'This team limits its members: send memberId with each usage and hold',
    );
  }
  if (!team.members.has(memberId)) {
    throw new DomainError(
      'member_not_in_team',
      `This team limits its members: memberId must be a member of it, and ${memberId} is not`,
      { memberId },
    );
  }
}

/** The limits of a consumer, moved to the window of `now`. */
export function limitsOn(team: TeamState, { memberId, apiKeyId }: Consumer, now: Date): LimitState[] {
  if (team.limits.length === 0) return [];
  const binding = team.limits.filter(
    ({ subject, subjectId }) => subjectId === (subject === 'member' ? memberId : apiKeyId),
  );
  for (const limit of binding) rollOver(limit, limitWindow(limit.per, now, team.cycle?.start ?? null));
  return binding;
}

/**
 * Refuses usage that would exceed a limit. Held credits count. Usage with a cost of 0 exceeds no limit.
 * @throws DomainError `limit_reached` {level, subjectId, limit, per, used, required, resetsAt, raisedBy}
 */
export function refuseOverLimit(limits: readonly LimitState[], credits: bigint, cycle: Cycle | null): void {
  if (credits === 0n) return;
  for (const one of limits) {
    const { active, subject, subjectId, credits: limit, per, windowStart, consumed, held } = one;
    if (!active || consumed + held + credits <= limit) continue;
    one.refused = true;
    const details = {
      level: subject,
      subjectId,
      limit: formatCredits(limit),
      per,
      used: formatCredits(consumed + held),
      required: formatCredits(credits),
      resetsAt: limitResetsAt(per, windowStart, cycle).toISOString(),
      raisedBy: managerRoles,
    };
    throw new DomainError(
      'limit_reached',
      `This would exceed the limit of ${details.limit} credits per ${per}: ${details.used} are used`,
      details,
    );
  }
}

/** Adds consumed credits to each of the consumer's limits. */
export function countAgainst(
  limits: readonly LimitState[],
  { consumed = 0n, held = 0n }: { consumed?: bigint; held?: bigint },
): void {
  for (const limit of limits) {
    limit.consumed += consumed;
    limit.held += held;
    limit.changed = true;
    if (consumed === 0n) continue;
    limit.total += consumed;
    limit.consumedMore = true;
  }
}

/**
 * The `limit.reached` of a limit, once for each window. A limit is reached if no more may be consumed, or if it refused
 * an operation.
 */
export function announceLimit(teamId: string, limit: LimitState): Message[] {
  const { active, consumed, held, credits, windowStart, announcedWindow, refused, changed } = limit;
  if (!active || announcedWindow?.getTime() === windowStart.getTime()) return [];
  const isUsedUp = changed && credits > 0n && consumed + held >= credits;
  if (!refused && !isUsedUp) return [];
  limit.announcedWindow = windowStart;
  limit.changed = true;
  const data = {
    teamId,
    level: limit.subject,
    subjectId: limit.subjectId,
    limit: formatCredits(credits),
    per: limit.per,
    used: formatCredits(consumed + held),
    windowStart: windowStart.toISOString(),
  };
  return [{ type: 'limit.reached', data }];
}

/**
 * The start of the window of `now`: midnight or the first of the month in UTC, or the start of the subscription's
 * cycle (without a subscription: of the month).
 */
export function limitWindow(per: LimitPeriod, now: Date, cycleStart: Date | null): Date {
  if (per === 'cycle' && cycleStart) return cycleStart;
  const day = per === 'day' ? now.getUTCDate() : 1;
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), day));
}

/** The end of the window that starts at `windowStart`. A cycle that Polar has not renewed yet may have ended. */
function limitResetsAt(per: LimitPeriod, windowStart: Date, cycle: Cycle | null): Date {
  if (per === 'cycle' && cycle) return cycle.end;
  const [year, month, day] = [
    windowStart.getUTCFullYear(),
    windowStart.getUTCMonth(),
    windowStart.getUTCDate(),
  ];
  return new Date(per === 'day' ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1));
}

function rollOver(limit: LimitState, windowStart: Date): void {
  if (limit.windowStart.getTime() === windowStart.getTime()) return;
  limit.windowStart = windowStart;
  limit.consumed = 0n;
  limit.changed = true;
}
