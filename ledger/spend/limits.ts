import { formatCredits } from '../../catalog/credits.ts';
import type { LimitPeriod } from '../../database/entities/limit.ts';
import { DomainError } from '../../domain-error.ts';
import type { LimitState, TeamState } from './batch-state.ts';

interface Consumer {
  memberId?: string | null | undefined;
  apiKeyId?: string | null | undefined;
}

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
  for (const limit of binding) rollOver(limit, limitWindow(limit.per, now, team.cycleStart));
  return binding;
}

/**
 * Refuses usage that would exceed a limit. Held credits count. Usage with a cost of 0 exceeds no limit.
 * @throws DomainError `limit_reached` {subject, limit, used, required}
 */
export function refuseOverLimit(limits: readonly LimitState[], credits: bigint): void {
  if (credits === 0n) return;
  for (const { active, subject, subjectId, credits: cap, per, consumed, held } of limits) {
    if (!active || consumed + held + credits <= cap) continue;
    const details = {
      subject: { kind: subject, id: subjectId },
      limit: formatCredits(cap),
      per,
      used: formatCredits(consumed + held),
      required: formatCredits(credits),
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
 * The start of the window of `now`: midnight or the first of the month in UTC, or the start of the subscription's
 * cycle (without a subscription: of the month).
 */
export function limitWindow(per: LimitPeriod, now: Date, cycleStart: Date | null): Date {
  if (per === 'cycle' && cycleStart) return cycleStart;
  const day = per === 'day' ? now.getUTCDate() : 1;
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), day));
}

function rollOver(limit: LimitState, windowStart: Date): void {
  if (limit.windowStart.getTime() === windowStart.getTime()) return;
  limit.windowStart = windowStart;
  limit.consumed = 0n;
  limit.changed = true;
}
