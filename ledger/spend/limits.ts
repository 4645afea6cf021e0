import { formatCredits } from '../../catalog/credits.ts';
import type { LimitPeriod } from '../../database/entities/limit.ts';
import { DomainError } from '../../domain-error.ts';
import type { LimitStanding, TeamStanding } from './standing.ts';

interface Consumer {
  memberId?: string | null | undefined;
  apiKeyId?: string | null | undefined;
}

/**
 * If a team limits its members, usage must name one: neither without a name nor under a made-up one does anybody spend past a
 * limit. API keys are unknown to us, so a usage need not name one.
 * @throws DomainError `member_required`, `member_not_in_team`
 */
export function requireMember(team: TeamStanding, { memberId }: Consumer): void {
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

/** The caps that bind a consumer, rolled over to the window of `now`. */
export function limitsOn(team: TeamStanding, { memberId, apiKeyId }: Consumer, now: Date): LimitStanding[] {
  if (team.limits.length === 0) return [];
  const binding = team.limits.filter(
    ({ subject, subjectId }) => subjectId === (subject === 'member' ? memberId : apiKeyId),
  );
  for (const limit of binding) rollOver(limit, limitWindow(limit.per, now, team.cycleStart));
  return binding;
}

/**
 * Refuses what would go over a cap. Held credits count. What costs nothing goes over no cap.
 * @throws DomainError `limit_reached` {subject, limit, used, required}
 */
export function refuseOverLimit(limits: readonly LimitStanding[], credits: bigint): void {
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
      `This would go over the cap of ${details.limit} credits per ${per}: ${details.used} are used`,
      details,
    );
  }
}

/** Counts what a consumer took, under each of their caps. */
export function countAgainst(
  limits: readonly LimitStanding[],
  change: { consumed?: bigint; held?: bigint },
): void {
  for (const limit of limits) {
    limit.consumed += change.consumed ?? 0n;
    limit.held += change.held ?? 0n;
    limit.changed = true;
    if (!change.consumed) continue;
    limit.total += change.consumed;
    limit.consumedMore = true;
  }
}

/**
 * When the window of `now` began: midnight or the first of the month in UTC, or the start of the subscription's cycle
 * (without a subscription: of the month).
 */
export function limitWindow(per: LimitPeriod, now: Date, cycleStart: Date | null): Date {
  if (per === 'cycle' && cycleStart) return cycleStart;
  const day = per === 'day' ? now.getUTCDate() : 1;
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), day));
}

function rollOver(limit: LimitStanding, windowStart: Date): void {
  if (limit.windowStart.getTime() === windowStart.getTime()) return;
  limit.windowStart = windowStart;
  limit.consumed = 0n;
  limit.changed = true;
}
