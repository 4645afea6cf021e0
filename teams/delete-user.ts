import type { EntityManager } from '@mikro-orm/postgresql';
import { type Database, lockTeam, readClock } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import type { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { DomainError } from '../domain-error.ts';
import { cutPayloads } from '../inbox/cut-payloads.ts';
import { markDeleted } from './delete-team.ts';
import { announceMembers } from './members.ts';

export interface ErasedUser {
  erasedAt: Date;
  /** The inbox rows that teams' workflows are to be told of. */
  tell: { teamId: string; inboxId: string }[];
}

/**
 * Erases a person: name and e-mail, their memberships, and with them their Personal Team. The id stays, opaque, in the
 * ledger, and is never used again. Asking again changes nothing.
 * @throws DomainError 404 `unknown_user`; 409 `last_owner` {teams} where a team would be left without an owner
 */
export async function deleteUser(database: Database, userId: string): Promise<ErasedUser> {
  for (;;) {
    const teamIds = await teamsOf(database.fork(), userId);
    const erased = await database.transaction((em) => erase(em, userId, teamIds));
    if (erased) return erased;
  }
}

/** Null: the person came into another team while their teams were being locked. */
async function erase(
  em: EntityManager,
  userId: string,
  teamIds: readonly string[],
): Promise<ErasedUser | null> {
  const teams: Team[] = [];
  for (const teamId of teamIds) {
    const locked = await lockTeam(em, teamId);
    if (locked) teams.push(locked.team);
  }
  // After the teams, as everywhere; who makes them a member somewhere waits for this, and finds them erased.
  await em.execute('select 1 from users where id = ? for update', [userId]);
  const user = await em.findOne(User, { id: userId }, { refresh: true });
  if (!user) throw new DomainError(404, 'unknown_user', `There is no user ${userId}`, { userId });
  if (user.erasedAt) return { erasedAt: user.erasedAt, tell: [] };
  const memberships = await em.find(Member, { userId });
  if (memberships.some(({ teamId }) => !teamIds.includes(teamId))) return null;

  await refuseLeavingTeamsWithoutOwner(
    em,
    userId,
    teams.filter(({ personal, deletedAt }) => !personal && !deletedAt),
  );
  await em.nativeDelete(Member, { userId });
  const now = await readClock(em);
  user.erasedAt = now;
  user.email = null;
  user.name = null;
  await em.flush();

  const tell: ErasedUser['tell'] = [];
  for (const team of teams) {
    const own = team.id === user.personalTeamId;
    const role = memberships.find(({ teamId }) => teamId === team.id)?.role ?? null;
    const inboxId = own
      ? (await markDeleted(em, team, now)).inboxId
      : await announceMembers(em, team.id, role, null);
    if (own) await cutPayloads(em, team.id);
    if (inboxId !== null) tell.push({ teamId: team.id, inboxId });
  }
  return { erasedAt: now, tell };
}

/** In the order in which teams are locked: of their ids. Deleted ones too, whose customers at Polar may know the person. */
async function teamsOf(em: EntityManager, userId: string): Promise<string[]> {
  const memberships = await em.find(Member, { userId });
  const user = await em.findOne(User, { id: userId });
  const ids = [...memberships.map(({ teamId }) => teamId), ...(user ? [user.personalTeamId] : [])];
  return [...new Set(ids)].sort();
}

async function refuseLeavingTeamsWithoutOwner(
  em: EntityManager,
  userId: string,
  teams: readonly Team[],
): Promise<void> {
  const owners = await em.find(Member, { teamId: { $in: teams.map(({ id }) => id) }, role: 'owner' });
  const left = teams.filter(({ id }) => {
    const ofTeam = owners.filter(({ teamId }) => teamId === id);
    return ofTeam.length === 1 && ofTeam[0]?.userId === userId;
  });
  if (left.length === 0) return;
  throw new DomainError(
    409,
    'last_owner',
    'The last owner of a team cannot go: make another member its owner, or delete the team',
    { userId, teams: left.map(({ id, name }) => ({ id, name })) },
  );
}
