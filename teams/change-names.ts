import type { EntityManager } from '@mikro-orm/postgresql';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { isUniqueViolation } from '../database/errors.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';
import { storeInboxEvent } from '../inbox/inbox.ts';
import { type Actor, demandRights, demandValidKey, lockTeamAs, nameActor } from './actor.ts';
import { storeMembersChanged } from './members.ts';
import { emailTaken, type UserProfile } from './sign-up.ts';

/** An inbox row that must be signalled to its team's workflow. */
export interface ToSignal {
  teamId: string;
  inboxId: string;
}

/**
 * Changes a user's e-mail or name. An inbox event updates the members at Polar, in each team that the user may pay
 * for. Call it in a transaction.
 * @throws DomainError `unknown_user`, also for one who was erased; `email_taken`, `unauthenticated` for a service key
 *   that was revoked meanwhile
 */
export async function changeUser(
  em: EntityManager,
  { id, actor, ...change }: { id: string; email?: string; name?: string; actor: Actor },
): Promise<{ user: UserProfile; toSignal: ToSignal[] }> {
  if (actor.kind === 'service') await demandValidKey(em, actor.keyId);
  const [user] = await em.execute<UserProfile[]>(
    'select id, email, name from users where id = ? and erased_at is null for no key update',
    [id],
  );
  if (!user) throw new DomainError('unknown_user', `There is no user ${id}`, { userId: id });
  const changed = { ...user, ...change };
  const fields = (['email', 'name'] as const).filter((field) => changed[field] !== user[field]);
  if (fields.length === 0) return { user, toSignal: [] };

  await em
    .execute('update users set email = ?, name = ? where id = ?', [changed.email, changed.name, id])
    .catch((error: unknown) => {
      throw isUniqueViolation(error) ? emailTaken() : error;
    });
  // Only the field's name: the record is kept permanently, and the user may be erased.
  await recordAuditEvent(em, {
    actor: nameActor(actor),
    action: 'user.changed',
    subject: id,
    after: { changed: fields },
  });
  const toSignal: ToSignal[] = [];
  const paying = await em.find(
    Member,
    { userId: id, role: { $ne: 'member' } },
    { orderBy: { teamId: 'asc' } },
  );
  for (const { teamId } of paying) {
    toSignal.push({ teamId, inboxId: await storeMembersChanged(em, teamId) });
  }
  return { user: changed, toSignal };
}

/**
 * Changes a team's name. An inbox event updates its customer at Polar. Call it in a transaction; locks the team.
 * @throws DomainError `unknown_team`, `forbidden`, `personal_team`: its name cannot change
 * @returns the inbox row to signal to the team's workflow; null if the team already has this name
 */
export async function renameTeam(
  em: EntityManager,
  { teamId, name, actor }: { teamId: string; name: string; actor: Actor },
): Promise<{ team: Pick<Team, 'id' | 'name' | 'personal'>; inboxId: string | null }> {
  const allowed = ['owner', 'admin'] as const;
  await demandRights(em, teamId, actor, allowed);
  const { team } = await lockTeamAs(em, teamId, actor, allowed);
  if (team.personal) {
    throw new DomainError('personal_team', 'A Personal Team keeps its name', { teamId });
  }
  const renamed = { id: team.id, name, personal: team.personal };
  if (team.name === name) return { team: renamed, inboxId: null };
  await em.nativeUpdate(Team, { id: teamId }, { name });
  await recordAuditEvent(em, {
    actor: nameActor(actor),
    action: 'team.renamed',
    teamId,
    before: { name: team.name },
    after: { name },
  });
  const { id } = await storeInboxEvent(em, {
    teamId,
    source: 'operator',
    type: 'team.renamed',
    externalId: null,
    payload: {},
  });
  return { team: renamed, inboxId: id };
}
