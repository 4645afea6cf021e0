import type { EntityManager } from '@mikro-orm/postgresql';
import { type Database, lockTeam, readClock } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import type { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';
import { cutPayloads } from '../inbox/cut-payloads.ts';
import type { WaitingEvent } from '../inbox/waiting-event.ts';
import { type Actor, demandValidKey, nameActor } from './actor.ts';
import { markDeleted } from './delete-team.ts';
import { forgetInvitationsOf } from './invitations.ts';
import { announceMembers } from './members.ts';
import { endSessionsOf } from './sessions.ts';

export interface ErasedUser {
  erasedAt: Date;
  /** The inbox rows to signal to the teams' workflows. */
  toSignal: { teamId: string; event: WaitingEvent }[];
}

/**
 * Erases a user: name and e-mail, memberships and open invitations, and also deletes their Personal Team and every
 * team whose only member they are. The id stays in the ledger and is never used again. A repetition changes nothing.
 * @throws DomainError `unknown_user`, `last_owner` {teams} if a team with other members would have no owner;
 *   `unauthenticated` for a service key that was revoked meanwhile
 */
export async function deleteUser(database: Database, userId: string, actor: Actor): Promise<ErasedUser> {
  for (;;) {
    const teamIds = await teamsOf(database.fork(), userId);
    const erased = await database.transaction((em) => erase(em, userId, teamIds, actor));
    if (erased) return erased;
  }
}

/** Null: the user joined another team while their teams were being locked. */
async function erase(
  em: EntityManager,
  userId: string,
  teamIds: readonly string[],
  actor: Actor,
): Promise<ErasedUser | null> {
  const teams: Team[] = [];
  for (const teamId of teamIds) {
    const locked = await lockTeam(em, teamId);
    if (locked) teams.push(locked.team);
  }
  if (actor.kind === 'service') await demandValidKey(em, actor.keyId);
  // Locked after the teams, as everywhere. A concurrent membership waits for this lock, and then finds the user
  // erased.
  await em.execute('select 1 from users where id = ? for update', [userId]);
  const user = await em.findOne(User, { id: userId }, { refresh: true });
  if (!user) throw new DomainError('unknown_user', `There is no user ${userId}`, { userId });
  if (user.erasedAt) return { erasedAt: user.erasedAt, toSignal: [] };
  const memberships = await em.find(Member, { userId });
  if (memberships.some(({ teamId }) => !teamIds.includes(teamId))) return null;

  const shared = teams.filter(({ personal, deletedAt }) => !personal && !deletedAt);
  const others = await em.find(Member, {
    teamId: { $in: shared.map(({ id }) => id) },
    userId: { $ne: userId },
  });
  const alone = shared.filter(({ id }) => others.every(({ teamId }) => teamId !== id));
  refuseLeavingTeamsWithoutOwner(
    userId,
    shared.filter((team) => !alone.includes(team)),
    [...memberships, ...others],
  );
  await em.nativeDelete(Member, { userId });
  await endSessionsOf(em, userId);
  await forgetInvitationsOf(em, user);
  const now = await readClock(em);
  user.erasedAt = now;
  user.email = null;
  user.name = null;
  await em.flush();

  await recordAuditEvent(em, { actor: nameActor(actor), action: 'user.erased', subject: userId });

  const toSignal: ErasedUser['toSignal'] = [];
  for (const team of teams) {
    const own = team.id === user.personalTeamId || alone.includes(team);
    const role = memberships.find(({ teamId }) => teamId === team.id)?.role ?? null;
    if (!own && role !== null) {
      const removed = { action: 'member.removed', teamId: team.id, subject: userId, before: { role } };
      await recordAuditEvent(em, { actor: nameActor(actor), ...removed });
    }
    const inboxId = own
      ? (await markDeleted(em, team, now, actor)).inboxId
      : await announceMembers(em, team.id, role, null);
    if (own) await cutPayloads(em, team.id);
    const type = own ? 'team.deleted' : 'members.changed';
    if (inboxId !== null) toSignal.push({ teamId: team.id, event: { inboxId, type } });
  }
  return { erasedAt: now, toSignal };
}

/** In the lock order of teams: by id. Includes deleted teams, because their customers at Polar may contain the user. */
async function teamsOf(em: EntityManager, userId: string): Promise<string[]> {
  const memberships = await em.find(Member, { userId });
  const user = await em.findOne(User, { id: userId });
  const ids = [...memberships.map(({ teamId }) => teamId), ...(user ? [user.personalTeamId] : [])];
  return [...new Set(ids)].sort();
}

function refuseLeavingTeamsWithoutOwner(
  userId: string,
  teams: readonly Team[],
  members: readonly Member[],
): void {
  const left = teams.filter(({ id }) => {
    const owners = members.filter(({ teamId, role }) => teamId === id && role === 'owner');
    return owners.length === 1 && owners[0]?.userId === userId;
  });
  if (left.length === 0) return;
  throw new DomainError(
    'last_owner',
    'The last owner of a team with other members cannot be erased: invite another owner, or delete the team',
    { userId, teams: left.map(({ id, name }) => ({ id, name })) },
  );
}
