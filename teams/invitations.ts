import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { readClock } from '../database/connection.ts';
import { Invitation } from '../database/entities/invitation.ts';
import { managerRoles, type Role } from '../database/entities/member.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../database/list-page.ts';
import { lockLivingTeam } from '../database/lock-living-team.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError, hasCode } from '../domain-error.ts';
import { type Actor, lockTeamAs, nameActor } from './actor.ts';
import { findMember } from './find-team.ts';
import { findUser } from './find-user.ts';
import { putMember } from './members.ts';

/** The invited user. An e-mail matches in upper and lower case. */
export type Invitee = { userId: string } | { email: string };

/** An invitation as its team sees it: what it was sent to, without data of the user. */
export interface SentInvitation {
  id: string;
  userId: string | null;
  email: string | null;
  role: Role;
  invitedBy: string;
  createdAt: Date;
  expiresAt: Date;
}

/** An invitation as the invited user sees it. */
export interface ReceivedInvitation {
  id: string;
  teamId: string;
  teamName: string;
  role: Role;
  createdAt: Date;
  expiresAt: Date;
}

const lifetimeMs = 7 * 86_400_000;
/** How many invitations a team may send within 24 hours, whatever their state. */
const mostPerTeamAndDay = 50;
/**
 * How long settled and expired invitations are kept: they count for the daily maximum, and a repeated answer needs
 * them.
 */
const keptDays = 30;

/**
 * Invites a user into the team, or a member to become an owner. It does not look up the user id or e-mail, so the
 * answer cannot reveal whether it is known. An earlier open invitation of the same invitee is replaced. Call it in a
 * transaction; locks the team.
 * @throws DomainError `unknown_team`, `forbidden` (owners and admins invite; only an owner invites owners);
 *   `already_member` for a member of the team, who is in its list of members; `too_many_invitations`
 */
export async function invite(
  em: EntityManager,
  { teamId, invitee, role, actor }: { teamId: string; invitee: Invitee; role: Role; actor: Actor },
): Promise<SentInvitation> {
  const { now } = await lockTeamAs(em, teamId, actor, role === 'owner' ? ['owner'] : managerRoles);
  await refuseMember(em, teamId, invitee, role);
  await refuseTooMany(em, teamId, now);
  await forgetOld(em);

  const { userId, email } = { userId: null, email: null, ...invitee };
  await em.execute(
    `update invitations set status = 'revoked', email = null
      where team_id = ? and status = 'open' and (user_id = ? or lower(email) = lower(?))`,
    [teamId, userId, email],
  );
  const invitation: SentInvitation = {
    id: uuidv7(),
    userId,
    email,
    role,
    invitedBy: nameActor(actor),
    createdAt: now,
    expiresAt: new Date(now.getTime() + lifetimeMs),
  };
  await em.insert(Invitation, { ...invitation, teamId, status: 'open' });
  await recordAuditEvent(em, {
    actor: nameActor(actor),
    action: 'invitation.sent',
    teamId,
    subject: invitation.id,
    after: { role, userId },
  });
  return invitation;
}

/** The team's open invitations, oldest first. */
export async function listTeamInvitations(
  em: EntityManager,
  { teamId, limit, cursor }: ListRange & { teamId: string },
): Promise<ListPage<SentInvitation>> {
  const rows = await em.find(
    Invitation,
    { teamId, status: 'open', expiresAt: { $gt: await readClock(em) }, id: { $gt: uuidCursor(cursor) } },
    { orderBy: { id: 'asc' }, limit: limit + 1 },
  );
  return pageOfRows(rows, limit);
}

/** A user's open invitations, by their id or e-mail, oldest first. Without those whose senders may no longer invite. */
export async function listUserInvitations(
  em: EntityManager,
  { userId, limit, cursor }: ListRange & { userId: string },
): Promise<ListPage<ReceivedInvitation>> {
  const rows = await em.execute<(Omit<ReceivedInvitation, 'createdAt' | 'expiresAt'> & Times)[]>(
    `select i.id, i.team_id as "teamId", t.name as "teamName", i.role, i.created_at as "createdAt",
            i.expires_at as "expiresAt"
       from users u
       join invitations i on i.status = 'open' and (i.user_id = u.id or lower(i.email) = lower(u.email))
       join teams t on t.id = i.team_id and t.deleted_at is null
      where u.id = ? and i.expires_at > billing_now() and i.id > ?
        and (i.invited_by like 'service:%'
             or exists (select from members m
                         where m.team_id = i.team_id and 'person:' || m.user_id = i.invited_by
                           and (m.role = 'owner' or (m.role = 'admin' and i.role <> 'owner'))))
      order by i.id limit ?`,
    [userId, uuidCursor(cursor), limit + 1],
  );
  const invitations = rows.map((row) => ({
    ...row,
    createdAt: new Date(row.createdAt),
    expiresAt: new Date(row.expiresAt),
  }));
  return pageOfRows(invitations, limit);
}

interface Times {
  createdAt: Date | string;
  expiresAt: Date | string;
}

/**
 * The team revokes an open invitation. Call it in a transaction; locks the team.
 * @throws DomainError `unknown_team`, `unknown_invitation`, `forbidden`
 */
export async function revokeInvitation(
  em: EntityManager,
  { teamId, id, actor }: { teamId: string; id: string; actor: Actor },
): Promise<void> {
  await lockTeamAs(em, teamId, actor, managerRoles);
  const invitation = await em.findOne(Invitation, { id, teamId, status: 'open' });
  if (!invitation) throw unknownInvitation(id);
  await settle(em, invitation, 'revoked', actor);
}

/**
 * The invited user joins the team with the offered role. A member becomes an owner, or keeps their role. A repetition
 * returns the same and changes nothing. Call it in a transaction; locks the team.
 * @throws DomainError `unknown_invitation`: it does not exist, is for another user, has expired, was revoked or
 *   declined, its team was deleted, or its sender may no longer send it
 * @returns the team and the user's role in it, and the inbox row to signal to the team's workflow
 */
export async function acceptInvitation(
  em: EntityManager,
  { id, userId }: { id: string; userId: string },
): Promise<{ teamId: string; teamName: string; role: Role; inboxId: string | null }> {
  const { invitation, team } = await lockReceived(em, id, userId);
  const actor = { kind: 'person', userId } as const;
  const before = (await findMember(em, team.id, userId))?.role ?? null;
  if (invitation.status === 'accepted' && before !== null) {
    return { teamId: team.id, teamName: team.name, role: before, inboxId: null };
  }
  if (invitation.status !== 'open' || !(await maySend(em, invitation))) throw unknownInvitation(id);
  const role = before === null || invitation.role === 'owner' ? invitation.role : before;
  await settle(em, invitation, 'accepted', actor);
  const inboxId = await putMember(em, { teamId: team.id, userId, role, actor, before });
  return { teamId: team.id, teamName: team.name, role, inboxId };
}

/**
 * The invited user declines. A repetition changes nothing. Call it in a transaction; locks the team.
 * @throws DomainError `unknown_invitation`, as {@link acceptInvitation}
 */
export async function declineInvitation(
  em: EntityManager,
  { id, userId }: { id: string; userId: string },
): Promise<void> {
  const { invitation } = await lockReceived(em, id, userId);
  if (invitation.status === 'declined') return;
  if (invitation.status !== 'open') throw unknownInvitation(id);
  await settle(em, invitation, 'declined', { kind: 'person', userId });
}

/** Revokes the open invitations of a user who is being erased, and removes their e-mail. */
export async function forgetInvitationsOf(
  em: EntityManager,
  { id, email }: { id: string; email: string | null },
): Promise<void> {
  await em.execute(
    `update invitations set status = 'revoked', email = null
      where status = 'open' and (user_id = ? or lower(email) = lower(?))`,
    [id, email],
  );
}

/** Locks the team of an invitation for this user, then reads it. */
async function lockReceived(em: EntityManager, id: string, userId: string) {
  const found = await em.findOne(Invitation, { id });
  if (!found) throw unknownInvitation(id);
  const { team, now } = await lockLivingTeam(em, found.teamId).catch((error: unknown) => {
    throw hasCode(error, 'unknown_team') ? unknownInvitation(id) : error;
  });
  // The user's row is locked after the team's, as everywhere: the user is not erased, and keeps their e-mail, until
  // the commit.
  const user = await findUser(em, userId).catch((error: unknown) => {
    throw hasCode(error, 'unknown_user') ? unknownInvitation(id) : error;
  });
  const invitation = await em.findOneOrFail(Invitation, { id }, { refresh: true });
  const isTheirs =
    invitation.userId === userId ||
    (invitation.email !== null && invitation.email.toLowerCase() === user.email.toLowerCase());
  const isExpired = invitation.status === 'open' && invitation.expiresAt <= now;
  if (!isTheirs || isExpired) throw unknownInvitation(id);
  return { invitation, team };
}

/** Whether the sender of the invitation may still send it: a removed admin's invitations are void. */
async function maySend(em: EntityManager, { teamId, invitedBy, role }: Invitation): Promise<boolean> {
  const userId = /^person:(.+)$/.exec(invitedBy)?.[1];
  if (userId === undefined) return true; // a service
  const sender = await findMember(em, teamId, userId);
  return sender?.role === 'owner' || (sender?.role === 'admin' && role !== 'owner');
}

async function settle(
  em: EntityManager,
  { id, teamId, userId, role }: Invitation,
  status: 'accepted' | 'declined' | 'revoked',
  actor: Actor,
): Promise<void> {
  const answeredBy = status !== 'revoked' && actor.kind === 'person' ? actor.userId : userId;
  await em.nativeUpdate(Invitation, { id }, { status, email: null, userId: answeredBy });
  await recordAuditEvent(em, {
    actor: nameActor(actor),
    action: `invitation.${status}`,
    teamId,
    subject: id,
    before: { role, status: 'open' },
    after: { role, status },
  });
}

async function refuseMember(em: EntityManager, teamId: string, invitee: Invitee, role: Role): Promise<void> {
  const { userId, email } = { userId: null, email: null, ...invitee };
  const [member] = await em.execute<{ role: Role }[]>(
    `select m.role from members m join users u on u.id = m.user_id
      where m.team_id = ? and (u.id = ? or lower(u.email) = lower(?))`,
    [teamId, userId, email],
  );
  if (!member || (role === 'owner' && member.role !== 'owner')) return;
  throw new DomainError('already_member', 'The user is in the team: change their role instead', {
    role: member.role,
  });
}

async function refuseTooMany(em: EntityManager, teamId: string, now: Date): Promise<void> {
  const since = new Date(now.getTime() - 86_400_000);
  const sent = await em.count(Invitation, { teamId, createdAt: { $gt: since } });
  if (sent < mostPerTeamAndDay) return;
  const message = `A team may send at most ${mostPerTeamAndDay} invitations within 24 hours: retry later`;
  throw new DomainError('too_many_invitations', message, {
    limit: mostPerTeamAndDay,
    retryAfterSeconds: 3_600,
  });
}

/** Deletes a few old invitations of any team with each invitation that is sent. */
async function forgetOld(em: EntityManager): Promise<void> {
  await em.execute(
    `delete from invitations
      where id in (select id from invitations order by id limit 100 for update skip locked)
        and created_at < billing_now() - make_interval(days => ?)`,
    [keptDays],
  );
}

function unknownInvitation(id: string): DomainError {
  return new DomainError('unknown_invitation', `There is no invitation ${id} that you could answer`, {
    invitationId: id,
  });
}
