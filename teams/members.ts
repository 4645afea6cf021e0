import type { EntityManager } from '@mikro-orm/postgresql';
import { Member, type Role } from '../database/entities/member.ts';
import { User } from '../database/entities/user.ts';
import { lockLivingTeam } from '../database/lock-living-team.ts';
import { DomainError } from '../domain-error.ts';
import { storeInboxEvent } from '../inbox/inbox.ts';
import { findMember } from './find-team.ts';
import { findUser } from './find-user.ts';

export interface ListedMember {
  userId: string;
  name: string;
  email: string;
  role: Role;
}

/** Who changes the members: a person with their role, or a service, which may do what an owner may. */
export type MemberEditor = { userId: string } | 'service';

/** Everybody in the team, in the order in which they joined. */
export async function listMembers(em: EntityManager, teamId: string): Promise<ListedMember[]> {
  return em.execute<ListedMember[]>(
    `select users.id as "userId", users.name, users.email, members.role
       from members join users on users.id = members.user_id
      where members.team_id = ? and users.erased_at is null
      order by members.created_at, users.id`,
    [teamId],
  );
}

/**
 * Gives a person a role in the team, and makes them a member where they are none. Belongs in a transaction: it
 * locks the team, so that of two owners who demote each other one stays.
 * @throws DomainError 404 `unknown_team`, 404 `unknown_user`, 403 `forbidden` (only an owner makes or unmakes
 * owners), 409 `last_owner`, 409 `personal_team_owner`
 * @returns the member, and the inbox row that the team's workflow is to be told of; null where nobody's right to pay changed
 */
export async function setMemberRole(
  em: EntityManager,
  { teamId, userId, role, by }: { teamId: string; userId: string; role: Role; by: MemberEditor },
): Promise<{ member: ListedMember; inboxId: string | null }> {
  const { now } = await lockLivingTeam(em, teamId);
  const user = await findUser(em, userId, { status: 404 });
  const member = await findMember(em, teamId, userId);
  if (role === 'owner' || member?.role === 'owner') await demandOwner(em, teamId, by);
  if (member?.role === 'owner' && role !== 'owner') await refuseLosingOwner(em, teamId, userId);
  if (member) await em.nativeUpdate(Member, { teamId, userId }, { role });
  else await em.insert(Member, { teamId, userId, role, createdAt: now });
  return {
    member: { userId, name: user.name ?? '', email: user.email ?? '', role },
    inboxId: await announceMembers(em, teamId, member?.role ?? null, role),
  };
}

/**
 * Takes a person out of the team. Belongs in a transaction; locks the team.
 * @throws DomainError 404 `unknown_team`, 404 `unknown_member`, 403 `forbidden`, 409 `last_owner`,
 * 409 `personal_team_owner`
 * @returns the inbox row that the team's workflow is to be told of; null where the person could not pay
 */
export async function removeMember(
  em: EntityManager,
  { teamId, userId, by }: { teamId: string; userId: string; by: MemberEditor },
): Promise<string | null> {
  await lockLivingTeam(em, teamId);
  const member = await findMember(em, teamId, userId);
  if (!member) {
    throw new DomainError(404, 'unknown_member', `${userId} is not in this team`, { teamId, userId });
  }
  if (member.role === 'owner') {
    await demandOwner(em, teamId, by);
    await refuseLosingOwner(em, teamId, userId);
  }
  await em.nativeDelete(Member, { teamId, userId });
  return announceMembers(em, teamId, member.role, null);
}

/**
 * Writes the inbox row `members.changed`, which makes the team's workflow bring the people at Polar in line, where a person's
 * role has changed. Null stands for not being in the team, which is to Polar what `member` is: it knows only those who pay.
 * @returns the row's id; null where nothing changes at Polar
 */
export async function announceMembers(
  em: EntityManager,
  teamId: string,
  from: Role | null,
  to: Role | null,
): Promise<string | null> {
  if ((from ?? 'member') === (to ?? 'member')) return null;
  const { id } = await storeInboxEvent(em, {
    teamId,
    source: 'operator',
    type: 'members.changed',
    externalId: null,
    payload: {},
  });
  return id;
}

async function demandOwner(em: EntityManager, teamId: string, by: MemberEditor): Promise<void> {
  if (by === 'service' || (await findMember(em, teamId, by.userId))?.role === 'owner') return;
  throw new DomainError(403, 'forbidden', 'Only an owner of the team may make or unmake its owners', {
    allowedRoles: ['owner'],
  });
}

async function refuseLosingOwner(em: EntityManager, teamId: string, userId: string): Promise<void> {
  if ((await em.count(Member, { teamId, role: 'owner' })) === 1) {
    throw new DomainError(
      409,
      'last_owner',
      'A team keeps at least one owner: make another member owner first',
      {
        userId,
      },
    );
  }
  if ((await em.count(User, { id: userId, personalTeamId: teamId })) > 0) {
    throw new DomainError(
      409,
      'personal_team_owner',
      'A person owns their Personal Team for as long as they are a user',
      {
        userId,
      },
    );
  }
}
