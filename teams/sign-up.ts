import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../database/connection.ts';
import { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { DomainError } from '../domain-error.ts';
import { storeInboxEvent } from '../inbox/inbox.ts';

/** A person as the platform knows them. */
export interface Person {
  /** The platform's id, `[A-Za-z0-9_-]{1,64}`. */
  id: string;
  email: string;
  name: string;
}

export interface SignedUp {
  user: Person;
  team: { id: string; name: string };
  /** The inbox row that the team's workflow is to be told about; null where the person had signed up before. */
  inboxId: string | null;
}

/** What every Personal Team is called: a name of its own would outlive the person's erasure. */
const personalTeamName = 'Personal Team';

/**
 * Signs a person up: user, Personal Team, its owner, the claim of their first trial and the inbox row `team.created`
 * commit together. The same person again, also at the same time, is the same user and team.
 * @throws DomainError `user_conflict` if the id is taken with other data, `email_taken` if another user has the e-mail,
 *   in any case; `user_erased`
 */
export async function signUp(database: Database, person: Person): Promise<SignedUp> {
  return database.transaction(
    async (em) => (await insertPerson(em, person)) ?? (await findSignedUp(em, person)),
  );
}

/** One statement, for somebody waits; null if the id or the e-mail is taken. */
async function insertPerson(em: EntityManager, { id, email, name }: Person): Promise<SignedUp | null> {
  const teamId = uuidv7();
  const made = await em.execute(
    `with person as (insert into users (id, email, name, personal_team_id) values (?, ?, ?, ?)
                     on conflict do nothing returning *),
          team as (insert into teams (id, name, personal)
                   select personal_team_id, ?, true from person returning *)
     insert into members (team_id, user_id, role) select team.id, person.id, 'owner' from person, team
     returning team_id`,
    [id, email, name, teamId, personalTeamName],
  );
  if (made.length === 0) return null;
  // A new user's first claim. A catalog allows at least one trial per owner.
  const inboxId = await announceTeam(em, teamId, id, 1);
  return { user: { id, email, name }, team: { id: teamId, name: personalTeamName }, inboxId };
}

/**
 * Claims the new team's trial for the person who makes it, if they have one left, and writes the inbox row `team.created`,
 * which makes the team's workflow grant it. Later changes of the team's owners do not move the claim. The caller holds the
 * lock of the maker's row, or has just made it.
 * @param trialsPerOwner  how many trials a person may claim: the catalog's
 * @returns the inbox row's id
 */
export async function announceTeam(
  em: EntityManager,
  teamId: string,
  makerId: string,
  trialsPerOwner: number,
): Promise<string> {
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

async function findSignedUp(em: EntityManager, person: Person): Promise<SignedUp> {
  const user = await em.findOne(User, { id: person.id });
  if (!user) throw emailTaken();
  if (user.erasedAt) {
    throw new DomainError('user_erased', `The user ${person.id} was erased; the id is not used again`);
  }
  const { id, email, name } = user;
  const differing = (['email', 'name'] as const).filter((field) => user[field] !== person[field]);
  if (email === null || name === null || differing.length > 0) {
    throw new DomainError(
      'user_conflict',
      `The user ${person.id} has signed up with another ${differing.join(' and ')}`,
      { differing },
    );
  }
  const team = await em.findOneOrFail(Team, { id: user.personalTeamId });
  return { user: { id, email, name }, team: { id: team.id, name: team.name }, inboxId: null };
}

/** One e-mail, in any case, is one user. It is not said whose it is. */
export function emailTaken(): DomainError {
  return new DomainError('email_taken', 'Another user has this e-mail: sign up with one of your own');
}
