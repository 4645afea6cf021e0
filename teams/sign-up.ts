import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../database/connection.ts';
import { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { DomainError } from '../domain-error.ts';
import { storeInboxEvent } from '../inbox/inbox.ts';
import { type Actor, recordAct } from './actor.ts';

/** A user as the platform knows them. */
export interface UserProfile {
  /** The platform's id, `[A-Za-z0-9_-]{1,64}`. */
  id: string;
  email: string;
  name: string;
}

export interface SignedUp {
  user: UserProfile;
  team: { id: string; name: string };
  /** The inbox row to signal to the team's workflow; null if the user had signed up before. */
  inboxId: string | null;
}

/** The name of every Personal Team. A name with the user's own name would remain after the user is erased. */
const personalTeamName = 'Personal Team';

/**
 * Signs a user up: user, Personal Team, its owner, the claim of the first trial and the inbox row `team.created`
 * commit together. A repetition, also a concurrent one, returns the same user and team.
 * @throws DomainError `user_conflict` if the id is in use with other data, `email_taken` if another user has the
 *   e-mail, in upper or lower case; `user_erased`
 */
export async function signUp(database: Database, profile: UserProfile, actor: Actor): Promise<SignedUp> {
  return database.transaction(
    async (em) => (await insertUser(em, profile, actor)) ?? (await findSignedUp(em, profile)),
  );
}

/** One statement, because a user waits for it; null if the id or the e-mail is in use. */
async function insertUser(
  em: EntityManager,
  { id, email, name }: UserProfile,
  actor: Actor,
): Promise<SignedUp | null> {
  const teamId = uuidv7();
  const made = await em.execute(
    `with new_user as (insert into users (id, email, name, personal_team_id) values (?, ?, ?, ?)
                     on conflict do nothing returning *),
          team as (insert into teams (id, name, personal)
                   select personal_team_id, ?, true from new_user returning *)
     insert into members (team_id, user_id, role) select team.id, new_user.id, 'owner' from new_user, team
     returning team_id`,
    [id, email, name, teamId, personalTeamName],
  );
  if (made.length === 0) return null;
  // A new user's first claim. A catalog allows at least one trial per owner.
  const inboxId = await announceTeam(em, { teamId, makerId: id, personal: true, trialsPerOwner: 1, actor });
  return { user: { id, email, name }, team: { id: teamId, name: personalTeamName }, inboxId };
}

/** A team that has just been created. */
export interface MadeTeam {
  teamId: string;
  /** The user who owns it, and whose trial it claims. */
  makerId: string;
  personal: boolean;
  /** The maximum number of trials of a user, from the catalog. */
  trialsPerOwner: number;
  actor: Actor;
}

/**
 * Claims the new team's trial for its owner, if they have one left, and writes the inbox row `team.created`, on which the
 * team's workflow grants it. Later changes of owners do not move the claim. Records who created the team. The caller holds
 * the lock of the owner's row, or has just inserted it.
 * @returns the inbox row's id
 */
export async function announceTeam(
  em: EntityManager,
  { teamId, makerId, personal, trialsPerOwner, actor }: MadeTeam,
): Promise<string> {
  await recordAct(em, actor, { action: 'team.created', teamId, after: { ownerId: makerId, personal } });
  await em.execute(
    `insert into trial_claims (owner_id, ordinal, team_id, claimed_at)
     select ?, count(*) + 1, ?, billing_now() from trial_claims where owner_id = ? having count(*) < ?`,
    [makerId, teamId, makerId, trialsPerOwner],
  );
  const { id } = await storeInboxEvent(em, {
    teamId,
    source: 'sign_up',
    type: 'team.created',
    externalId: `team.created:${teamId}`,
    payload: { ownerId: makerId },
  });
  return id;
}

async function findSignedUp(em: EntityManager, profile: UserProfile): Promise<SignedUp> {
  const user = await em.findOne(User, { id: profile.id });
  if (!user) throw emailTaken();
  if (user.erasedAt) {
    throw new DomainError('user_erased', `The user ${profile.id} was erased: use another id`);
  }
  const { id, email, name } = user;
  const differing = (['email', 'name'] as const).filter((field) => user[field] !== profile[field]);
  if (email === null || name === null || differing.length > 0) {
    throw new DomainError(
      'user_conflict',
      `The user ${profile.id} has signed up with another ${differing.join(' and ')}`,
      { differing },
    );
  }
  const team = await em.findOneOrFail(Team, { id: user.personalTeamId });
  return { user: { id, email, name }, team: { id: team.id, name: team.name }, inboxId: null };
}

/** An e-mail, in upper or lower case, belongs to one user. The error does not reveal which one. */
export function emailTaken(): DomainError {
  return new DomainError('email_taken', 'Another user has this e-mail: use another one');
}
