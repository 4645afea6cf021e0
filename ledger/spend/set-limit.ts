import type { EntityManager } from '@mikro-orm/postgresql';
import { readCatalog } from '../../catalog/versions.ts';
import { type Database, readClock } from '../../database/connection.ts';
import { Limit, type LimitPeriod, type LimitSubject, limitSubjects } from '../../database/entities/limit.ts';
import { Member } from '../../database/entities/member.ts';
import { findCurrentSubscription } from '../../database/entities/subscription.ts';
import { Team } from '../../database/entities/team.ts';
import { invalidCursor, type ListPage, type ListRange } from '../../database/list-page.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { DomainError } from '../../domain-error.ts';
import { limitWindow } from './limits.ts';

/** The team and the subject of a limit. The subject is a member's user id, or an API key's id. */
export type LimitKey = Pick<Limit, 'teamId' | 'subject' | 'subjectId'>;

/** A limit and how much of it is used in its current window. */
export type SetLimit = Pick<
  Limit,
  'subject' | 'subjectId' | 'credits' | 'per' | 'windowStart' | 'consumed' | 'held'
>;

/**
 * Sets or changes the limit of a member or an API key. Earlier usage in the window and open holds count.
 *
 * The team's lock is held only for short times, however much the team has consumed. Under the first lock the limit
 * begins to count. Then earlier usage is counted without the lock. Under the second lock the limit begins to refuse.
 * If the process dies in between, the limit does not refuse yet; sending the same request again completes it.
 *
 * @param confirmRights  called under each lock: throws if the caller may no longer do this
 * @throws DomainError `unknown_team`, `unknown_member`, `too_many_limits`, and the errors of `confirmRights`
 */
export async function setLimit(
  database: Database,
  limit: NewLimit,
  confirmRights: ConfirmRights = async () => {},
): Promise<SetLimit> {
  for (;;) {
    const begun = await database.transaction(async (em) => {
      await confirmRights(em);
      return beginLimit(em, limit);
    });
    if ('set' in begun) return begun.set;
    await countHistory(database, limit, begun);
    const set = await database.transaction(async (em) => {
      await confirmRights(em);
      return completeLimit(em, limit, begun);
    });
    if (set) return set;
  }
}

type ConfirmRights = (em: EntityManager) => Promise<void>;

interface NewLimit extends LimitKey {
  /** Micro-credits per window; 0 refuses everything. */
  credits: bigint;
  per: LimitPeriod;
}

/** The usage that must still be counted: recorded from `since` on, and before counting began at `until`. */
interface Uncounted {
  counterId: bigint;
  since: Date;
  until: Date;
}

async function beginLimit(em: EntityManager, limit: NewLimit): Promise<{ set: SetLimit } | Uncounted> {
  const { teamId, subject, subjectId, per } = limit;
  const { team, now } = await lockLivingTeam(em, teamId);
  if (subject === 'member' && (await em.count(Member, { teamId, userId: subjectId })) === 0) {
    throw new DomainError('unknown_member', `${subjectId} is not in this team`, {
      teamId,
      userId: subjectId,
    });
  }
  const windowStart = limitWindow(per, now, await cycleStart(em, teamId));
  let known = await em.findOne(Limit, { teamId, subject, subjectId });
  if (!known) {
    await refuseTooMany(em, teamId);
    await startCounting(em, limit, now);
    team.hasLimits = true;
    await em.flush();
    known = await em.findOneOrFail(Limit, { teamId, subject, subjectId });
  }
  if (known.active && known.countedSince <= windowStart) {
    return { set: await activate(em, known, limit, windowStart) };
  }
  // Enough for the month, and for a cycle that began earlier and becomes known later.
  const since = new Date(Math.min(windowStart.getTime(), now.getTime() - historyMs));
  return { counterId: known.counterId, since, until: known.countedSince };
}

/** Longer than a month. */
const historyMs = 35 * 86_400_000;

async function refuseTooMany(em: EntityManager, teamId: string): Promise<void> {
  const { limitsPerTeam: limit } = (await readCatalog(em)).catalog.policies;
  if ((await em.count(Limit, { teamId })) < limit) return;
  const message = `A team may have at most ${limit} limits: remove one that is no longer needed`;
  throw new DomainError('too_many_limits', message, { limit });
}

async function startCounting(
  em: EntityManager,
  { teamId, subject, subjectId, credits, per }: NewLimit,
  now: Date,
): Promise<void> {
  await em.execute(
    `with made as (
       insert into limits (team_id, subject, subject_id, credits, per, window_start, held, active, counted_since)
       select ?, ?, ?, ?, ?, ?, coalesce(sum(h.credits), 0), false, ?
         from holds h where h.team_id = ? and h.status = 'open' and ${columnOf[subject]} = ?
       returning counter_id, counted_since
     )
     insert into limit_marks (counter_id, at, total)
     select counter_id, at, 0 from made cross join unnest(array[counted_since - interval '1 millisecond', counted_since]) as at`,
    [teamId, subject, subjectId, credits, per, limitWindow(per, now, null), now, teamId, subjectId],
  );
}

const columnOf = { member: 'member_id', key: 'api_key_id' } as const satisfies Record<LimitSubject, string>;

/**
 * Writes marks of earlier consumption: negative totals, counting back from 0. No debit of that time can be in flight,
 * because the lock was held since then. In the millisecond in which counting began, usage that the limit has counted
 * itself is left out. `occurredAt` may be earlier than the recording, but at most by the time that keys are kept,
 * which limits what is read.
 */
async function countHistory(
  { pool }: Pick<Database, 'pool'>,
  { teamId, subject, subjectId }: LimitKey,
  { counterId, since, until }: Uncounted,
): Promise<void> {
  await pool.query(
    `with recorded as (
       select recorded_at as at, sum(credits) as credits
         from usage_events
        where team_id = $1 and ${columnOf[subject]} = $2 and recorded_at >= $3 and recorded_at <= $4
          and occurred_at >= $3::timestamptz - interval '120 days'
        group by recorded_at
     ), debits as (
       select at, credits - coalesce((select m.total from limit_marks m where m.counter_id = $5 and m.at = $4 and m.at = recorded.at), 0) as credits
         from recorded
     ), marks as (
       select at, -coalesce(sum(credits) over (order by at desc rows between unbounded preceding and 1 preceding), 0) as total from debits
       union
       select $4::timestamptz - interval '1 millisecond', -coalesce(sum(credits), 0) from debits where at = $4
       union
       select $3::timestamptz - interval '1 millisecond', -coalesce(sum(credits), 0) from debits
     )
     insert into limit_marks (counter_id, at, total)
     select $5, at, total from marks where at < $4
     on conflict (counter_id, at) do update set total = excluded.total`,
    [teamId, subjectId, since, until, counterId],
  );
}

/** Null: the limit was removed meanwhile. */
async function completeLimit(
  em: EntityManager,
  limit: NewLimit,
  { counterId, since }: Uncounted,
): Promise<SetLimit | null> {
  const { teamId, subject, subjectId, per } = limit;
  const { now } = await lockLivingTeam(em, teamId);
  const known = await em.findOne(Limit, { teamId, subject, subjectId, counterId });
  if (!known) return null;
  if (since < known.countedSince) known.countedSince = since;
  return activate(em, known, limit, limitWindow(per, now, await cycleStart(em, teamId)));
}

async function activate(
  em: EntityManager,
  known: Limit,
  { credits, per }: NewLimit,
  windowStart: Date,
): Promise<SetLimit> {
  em.assign(known, { credits, per, active: true });
  await em.flush();
  const { teamId, subject, subjectId } = known;
  const [row] = await em.execute<{ consumed: string; held: string }[]>(
    `${moveWindows} where l.team_id = ? and l.subject = ? and l.subject_id = ? returning l.consumed, l.held`,
    [...Array(2).fill(windowStart), teamId, subject, subjectId],
  );
  if (!row) throw new Error(`the limit of ${subject} ${subjectId} is missing under the lock`);
  const counted = { consumed: BigInt(row.consumed), held: BigInt(row.held) };
  return { subject, subjectId, credits, per, windowStart, ...counted };
}

/**
 * Moves the start of a limit's window; uses each parameter twice. Two index lookups per limit: the consumption since
 * then is the total minus the last mark before. If counting began later, it is the consumption since counting began.
 */
const moveWindows = `
  update limits l
     set window_start = ?,
         consumed = l.total - coalesce(
           (select m.total from limit_marks m where m.counter_id = l.counter_id and m.at < ? order by m.at desc limit 1),
           (select m.total from limit_marks m where m.counter_id = l.counter_id order by m.at limit 1),
           l.total)`;

/**
 * Moves the team's limits per cycle to the current start of its cycle: usage recorded since that start, before it was
 * known, counts. The caller holds the team's lock and has read `now` after it.
 */
export async function recountCycleLimits(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const { hasLimits } = await em.findOneOrFail(Team, { id: teamId });
  if (!hasLimits) return;
  const windowStart = limitWindow('cycle', now, await cycleStart(em, teamId));
  await em.execute(`${moveWindows} where l.team_id = ? and l.per = 'cycle' and l.window_start <> ?`, [
    windowStart,
    windowStart,
    teamId,
    windowStart,
  ]);
}

/**
 * Removes a limit. Its marks are deleted afterwards, without the lock.
 * @throws DomainError `unknown_team`, `unknown_limit`
 */
export async function removeLimit(
  database: Database,
  limit: LimitKey,
  confirmRights: ConfirmRights = async () => {},
): Promise<void> {
  const counterId = await database.transaction(async (em) => {
    await confirmRights(em);
    return endLimit(em, limit);
  });
  await database.pool.query('delete from limit_marks where counter_id = $1', [counterId]);
}

async function endLimit(em: EntityManager, { teamId, subject, subjectId }: LimitKey): Promise<bigint> {
  const { team } = await lockLivingTeam(em, teamId);
  const known = await em.findOne(Limit, { teamId, subject, subjectId });
  if (!known?.active) {
    throw new DomainError('unknown_limit', `The ${subject} ${subjectId} has no limit`, {
      subject: { kind: subject, id: subjectId },
    });
  }
  await em.nativeDelete(Limit, { teamId, subject, subjectId });
  team.hasLimits = (await em.count(Limit, { teamId })) > 0;
  await em.flush();
  return known.counterId;
}

/**
 * The team's limits, members first, in their current windows.
 * @throws DomainError `invalid_cursor`
 */
export async function listLimits(
  em: EntityManager,
  teamId: string,
  { limit, cursor }: ListRange,
): Promise<ListPage<SetLimit>> {
  const after = cursor === undefined ? null : readCursor(cursor);
  const beyond = after && {
    $or: [
      { subject: after.subject, subjectId: { $gt: after.subjectId } },
      { subject: { $lt: after.subject } }, // 'member' comes before 'key'
    ],
  };
  const limits = await em.find(
    Limit,
    { teamId, active: true, ...beyond },
    { orderBy: { subject: 'desc', subjectId: 'asc' }, limit: limit + 1, disableIdentityMap: true },
  );
  const now = await readClock(em);
  const cycle = await cycleStart(em, teamId);
  const data = limits
    .slice(0, limit)
    .map(({ subject, subjectId, credits, per, windowStart, consumed, held }): SetLimit => {
      const current = limitWindow(per, now, cycle);
      const over = current.getTime() !== windowStart.getTime(); // the next debit moves it to the new window
      return { subject, subjectId, credits, per, windowStart: current, consumed: over ? 0n : consumed, held };
    });
  const last = data.at(-1);
  return { data, nextCursor: last && limits.length > limit ? `${last.subject}:${last.subjectId}` : null };
}

function readCursor(cursor: string): Pick<LimitKey, 'subject' | 'subjectId'> {
  const [, subject, subjectId] = /^(\w+):(.+)$/.exec(cursor) ?? [];
  const known = limitSubjects.find((one) => one === subject);
  if (known && subjectId !== undefined) return { subject: known, subjectId };
  throw invalidCursor();
}

async function cycleStart(em: EntityManager, teamId: string): Promise<Date | null> {
  const current = await findCurrentSubscription(em, teamId);
  return current?.currentPeriodStart ?? null;
}
