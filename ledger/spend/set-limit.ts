import type { EntityManager } from '@mikro-orm/postgresql';
import { readCatalog } from '../../catalog/versions.ts';
import { readClock } from '../../database/connection.ts';
import { Limit, type LimitPeriod, type LimitSubject } from '../../database/entities/limit.ts';
import { Member } from '../../database/entities/member.ts';
import { findStandingSubscriptions } from '../../database/entities/subscription.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { DomainError } from '../../domain-error.ts';
import { limitWindow } from './limits.ts';

/** Whom a cap binds, in which team. */
export interface LimitKey {
  teamId: string;
  subject: LimitSubject;
  /** A member's user id, or an API key's id. */
  subjectId: string;
}

/** A cap and how far it is used, in micro-credits. */
export interface SetLimit {
  subject: LimitSubject;
  subjectId: string;
  credits: bigint;
  per: LimitPeriod;
  /** When the window began that `consumed` counts. */
  windowStart: Date;
  consumed: bigint;
  /** What open holds set aside. */
  held: bigint;
}

/**
 * Caps what a member or an API key may consume of the team's credits, or changes that cap. What they have consumed in the
 * window so far and what their open holds set aside count from the start. Belongs in a transaction; locks the team.
 * @param credits  micro-credits a window; 0 stops them altogether
 * @throws DomainError 404 `unknown_team`, `unknown_member`
 */
export async function setLimit(
  em: EntityManager,
  { teamId, subject, subjectId, credits, per }: LimitKey & { credits: bigint; per: LimitPeriod },
): Promise<SetLimit> {
  const { team, now } = await lockLivingTeam(em, teamId);
  if (subject === 'member' && (await em.count(Member, { teamId, userId: subjectId })) === 0) {
    throw new DomainError(404, 'unknown_member', `${subjectId} is not in this team`, {
      teamId,
      userId: subjectId,
    });
  }
  const windowStart = limitWindow(per, now, await cycleStart(em, teamId));
  const used = await readUsed(em, { teamId, subject, subjectId }, windowStart);
  const limit = { subject, subjectId, credits, per, windowStart, ...used };
  await em.upsert(Limit, { teamId, ...limit });
  team.hasLimits = true;
  await em.flush();
  return limit;
}

/**
 * Counts the team's caps per cycle anew, where its cycle has changed: what was recorded since the new one began, before
 * we heard of it, counts. The caller holds the team's lock and has read `now` after it.
 */
export async function recountCycleLimits(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const limits = await em.find(Limit, { teamId, per: 'cycle' });
  if (limits.length === 0) return;
  const windowStart = limitWindow('cycle', now, await cycleStart(em, teamId));
  for (const limit of limits) {
    if (limit.windowStart.getTime() === windowStart.getTime()) continue;
    em.assign(limit, { windowStart, ...(await readUsed(em, limit, windowStart)) });
  }
  await em.flush();
}

/**
 * Takes a cap away. Belongs in a transaction; locks the team.
 * @throws DomainError 404 `unknown_team`, `unknown_limit`
 */
export async function removeLimit(
  em: EntityManager,
  { teamId, subject, subjectId }: LimitKey,
): Promise<void> {
  const { team } = await lockLivingTeam(em, teamId);
  if ((await em.nativeDelete(Limit, { teamId, subject, subjectId })) === 0) {
    throw new DomainError(404, 'unknown_limit', `The ${subject} ${subjectId} has no cap`, {
      subject: { kind: subject, id: subjectId },
    });
  }
  team.hasLimits = (await em.count(Limit, { teamId })) > 0;
  await em.flush();
}

/** The team's caps, members first, as they stand in the windows of now. */
export async function listLimits(em: EntityManager, teamId: string): Promise<SetLimit[]> {
  const limits = await em.find(Limit, { teamId }, { orderBy: { subject: 'desc', subjectId: 'asc' } });
  const now = await readClock(em);
  const cycle = await cycleStart(em, teamId);
  return limits.map(({ subject, subjectId, credits, per, windowStart, consumed, held }) => {
    const current = limitWindow(per, now, cycle);
    const over = current.getTime() !== windowStart.getTime(); // the next debit rolls it over
    return { subject, subjectId, credits, per, windowStart: current, consumed: over ? 0n : consumed, held };
  });
}

async function cycleStart(em: EntityManager, teamId: string): Promise<Date | null> {
  const [current] = await findStandingSubscriptions(em, teamId);
  return current?.currentPeriodStart ?? null;
}

/**
 * What was debited in the window, and what open holds set aside: lapsed ones too, until they are freed. Usage may have
 * occurred longer ago than it was recorded, but no longer than callers' keys are kept: that bounds the search.
 */
async function readUsed(
  em: EntityManager,
  { teamId, subject, subjectId }: LimitKey,
  windowStart: Date,
): Promise<{ consumed: bigint; held: bigint }> {
  const { catalog } = await readCatalog(em);
  const earliest = new Date(windowStart.getTime() - catalog.policies.idempotencyKeysKept);
  const column = subject === 'member' ? 'member_id' : 'api_key_id';
  const [used] = await em.execute<{ consumed: string; held: string }[]>(
    `select (select coalesce(sum(credits), 0) from usage_events
              where team_id = ? and occurred_at >= ? and recorded_at >= ? and ${column} = ?)::text as consumed,
            (select coalesce(sum(credits), 0) from holds
              where team_id = ? and status = 'open' and ${column} = ?)::text as held`,
    [teamId, earliest, windowStart, subjectId, teamId, subjectId],
  );
  return { consumed: BigInt(used?.consumed ?? 0), held: BigInt(used?.held ?? 0) };
}
