import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { readCatalog } from '../catalog/versions.ts';
import { readClock } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import type { Actor } from './actor.ts';
import { findUser } from './find-user.ts';
import { announceTeam } from './sign-up.ts';

/**
 * Creates a shared team with its owner, a trial claim of the owner if they have one left, and the inbox row
 * `team.created`. Call it in a transaction. Locks the owner's row, so that concurrent teams of one owner claim trials
 * one after another.
 * @throws DomainError `unknown_owner` if the owner has not signed up; `too_many_teams`; `catalog_not_published`
 */
export async function createTeam(
  em: EntityManager,
  { name, ownerId, actor }: { name: string; ownerId: string; actor: Actor },
): Promise<{ id: string; name: string; inboxId: string }> {
  const { catalog } = await readCatalog(em);
  await em.execute('select 1 from users where id = ? for no key update', [ownerId]);
  await findUser(em, ownerId, 'unknown_owner');
  const createdAt = await readClock(em);
  await refuseTooMany(em, ownerId, catalog.policies.teamsPerUser);
  const id = uuidv7();
  await em.insert(Team, { id, name, personal: false, createdAt });
  await em.insert(Member, { teamId: id, userId: ownerId, role: 'owner', createdAt });
  const trialsPerOwner = catalog.trial.perOwner;
  const made = { teamId: id, makerId: ownerId, personal: false, trialsPerOwner, actor };
  return { id, name, inboxId: await announceTeam(em, made) };
}

/** A deleted team counts for a day, so that nobody can create and delete teams without limit. */
async function refuseTooMany(em: EntityManager, ownerId: string, limit: number): Promise<void> {
  const [row] = await em.execute<{ owned: number }[]>(
    `select count(*)::int as owned
       from members join teams on teams.id = members.team_id
      where members.user_id = ? and members.role = 'owner' and not teams.personal
        and (teams.deleted_at is null or teams.deleted_at > billing_now() - interval '1 day')`,
    [ownerId],
  );
  if ((row?.owned ?? 0) < limit) return;
  throw new DomainError(
    'too_many_teams',
    `A user may own at most ${limit} teams: delete one, which counts for another day, or hand one over`,
    { limit },
  );
}
