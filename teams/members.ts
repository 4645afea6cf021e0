import type { EntityManager } from '@mikro-orm/postgresql';
import { Member, managerRoles, type Role, roles } from '../database/entities/member.ts';
import { User } from '../database/entities/user.ts';
import { invalidCursor, type ListPage, type ListRange } from '../database/list-page.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';
import { storeInboxEvent, supersedeWaiting } from '../inbox/inbox.ts';
import { type Actor, demandRights, lockTeamAs, nameActor } from './actor.ts';
import { findMember } from './find-team.ts';
import { findUser } from './find-user.ts';

export interface ListedMember {
  userId: string;
  name: string;
  email: string;
  role: Role;
}

/**
 * The team's members, in the order in which they joined.
 * @throws DomainError `invalid_cursor`
 */
export async function listMembers(
  em: EntityManager,
  teamId: string,
  { limit, cursor }: ListRange,
): Promise<ListPage<ListedMember>> {
  const [joinedMs, after] = cursor === undefined ? [0, ''] : readCursor(cursor);
  const rows = await em.execute<(ListedMember & { joinedMs: string })[]>(
    `select users.id as "userId", users.name, users.email, members.role,
            (extract(epoch from members.created_at) * 1000)::bigint::text as "joinedMs"
       from members join users on users.id = members.user_id
      where members.team_id = ? and users.erased_at is null
        and (members.created_at, users.id) > (to_timestamp(?::numeric / 1000), ?)
      order by members.created_at, users.id
      limit ?`,
    [teamId, joinedMs, after, limit + 1],
  );
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    data: page.map(({ joinedMs: _, ...member }) => member),
    nextCursor: last && rows.length > limit ? `${last.joinedMs}_${last.userId}` : null,
  };
}

function readCursor(cursor: string): [joinedMs: number, userId: string] {
  const [, joinedMs, userId] = /^(\d{1,14})_([\w-]{1,64})$/.exec(cursor) ?? [];
  if (joinedMs !== undefined && userId !== undefined) return [Number(joinedMs), userId];
  throw invalidCursor();
}

/**
 * Changes a member's role. A service may also add a user to the team, in any role. A user may not: users join, and
 * become owners, by accepting an invitation. Call it in a transaction. It locks the team, so if two owners demote each
 * other, one stays an owner.
 * @throws DomainError `unknown_team`, `unknown_user` (for services); `unknown_member` (for users, whether or not such
 *   a user exists); `forbidden` (only an owner appoints or removes owners); `consent_required`, `last_owner`,
 *   `personal_team_owner`
 * @returns the member, and the inbox row to signal to the team's workflow; null if no right to pay changed
 */
export async function setMemberRole(
  em: EntityManager,
  { teamId, userId, role, actor }: { teamId: string; userId: string; role: Role; actor: Actor },
): Promise<{ member: ListedMember; inboxId: string | null }> {
  await lockTeamAs(em, teamId, actor, managerRoles);
  const member = await findMember(em, teamId, userId);
  if (actor.kind === 'person' && !member) throw unknownMember(teamId, userId);
  if (role === 'owner' || member?.role === 'owner') await demandRights(em, teamId, actor, ['owner']);
  if (actor.kind === 'person' && role === 'owner' && member?.role !== 'owner') {
    throw new DomainError(
      'consent_required',
      'A user becomes an owner only by accepting: invite the member with the role owner',
      { userId },
    );
  }
  if (member?.role === 'owner' && role !== 'owner') await refuseLosingOwner(em, teamId, userId);
  const user = await findUser(em, userId);
  const inboxId = await putMember(em, { teamId, userId, role, actor, before: member?.role ?? null });
  return { member: { userId, name: user.name, email: user.email, role }, inboxId };
}

/**
 * Removes a member. Every member may remove themselves. Call it in a transaction; locks the team.
 * @throws DomainError `unknown_team`, `unknown_member`, `forbidden`, `last_owner`, `personal_team_owner`
 * @returns the inbox row to signal to the team's workflow; null if the user had no right to pay
 */
export async function removeMember(
  em: EntityManager,
  { teamId, userId, actor }: { teamId: string; userId: string; actor: Actor },
): Promise<string | null> {
  const leaves = actor.kind === 'person' && actor.userId === userId;
  await lockTeamAs(em, teamId, actor, leaves ? roles : managerRoles);
  const member = await findMember(em, teamId, userId);
  if (!member) throw unknownMember(teamId, userId);
  if (member.role === 'owner') {
    await demandRights(em, teamId, actor, ['owner']);
    await refuseLosingOwner(em, teamId, userId);
  }
  await em.nativeDelete(Member, { teamId, userId });
  await recordAuditEvent(em, {
    actor: nameActor(actor),
    action: 'member.removed',
    teamId,
    subject: userId,
    before: { role: member.role },
  });
  return announceMembers(em, teamId, member.role, null);
}

/**
 * Writes a membership, new or with another role, and records who did it. The caller holds the team's lock and has
 * checked the rights, and that the user is not erased.
 * @param before  the user's previous role; null if they are not in the team
 * @returns the inbox row to signal to the team's workflow; null if no right to pay changed
 */
export async function putMember(
  em: EntityManager,
  change: { teamId: string; userId: string; role: Role; actor: Actor; before: Role | null },
): Promise<string | null> {
  const { teamId, userId, role, actor, before } = change;
  if (before === role) return null;
  if (before === null) {
    await em.execute(
      'insert into members (team_id, user_id, role, created_at) values (?, ?, ?, billing_now())',
      [teamId, userId, role],
    );
  } else await em.nativeUpdate(Member, { teamId, userId }, { role });
  await recordAuditEvent(em, {
    actor: nameActor(actor),
    action: before === null ? 'member.added' : 'member.changed',
    teamId,
    subject: userId,
    before: before === null ? null : { role: before },
    after: { role },
  });
  return announceMembers(em, teamId, before, role);
}

/**
 * If a change of role changes who may pay, writes the inbox row `members.changed`, on which the team's workflow syncs
 * the members at Polar. Null means not a member. Polar stores only roles that pay, so it treats null like `member`.
 * @returns the row's id; null if nothing changes at Polar
 */
export async function announceMembers(
  em: EntityManager,
  teamId: string,
  from: Role | null,
  to: Role | null,
): Promise<string | null> {
  if ((from ?? 'member') === (to ?? 'member')) return null;
  return storeMembersChanged(em, teamId);
}

/**
 * Writes the inbox row `members.changed`, on which the team's workflow syncs the members at Polar. It replaces a waiting one,
 * so a team has at most one.
 */
export async function storeMembersChanged(em: EntityManager, teamId: string): Promise<string> {
  await supersedeWaiting(em, teamId, 'members.changed');
  const { id } = await storeInboxEvent(em, {
    teamId,
    source: 'operator',
    type: 'members.changed',
    externalId: null,
    payload: {},
  });
  return id;
}

/** The same error for a user who is not in the team and for one who does not exist. */
function unknownMember(teamId: string, userId: string): DomainError {
  return new DomainError('unknown_member', `${userId} is not in this team: send an invitation`, {
    teamId,
    userId,
  });
}

async function refuseLosingOwner(em: EntityManager, teamId: string, userId: string): Promise<void> {
  if ((await em.count(Member, { teamId, role: 'owner' })) === 1) {
    throw new DomainError(
      'last_owner',
      'A team must keep at least one owner: invite another owner first, or delete the team',
      { userId },
    );
  }
  if ((await em.count(User, { id: userId, personalTeamId: teamId })) > 0) {
    throw new DomainError('personal_team_owner', 'The owner of a Personal Team cannot change', { userId });
  }
}
