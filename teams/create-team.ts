import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { readCatalog } from '../catalog/versions.ts';
import { readClock } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { findUser } from './find-user.ts';
import { announceTeam } from './sign-up.ts';

/**
 * Creates a shared team with its owner, a trial claim of the owner if they have one left, and the inbox row
 * `team.created`. Call it in a transaction. Locks the owner's row, so that concurrent teams of one owner claim trials
 * one after another.
 * @throws DomainError `unknown_owner` if the owner has not signed up; `catalog_not_published`
 */
export async function createTeam(
  em: EntityManager,
  { name, ownerId }: { name: string; ownerId: string },
): Promise<{ id: string; name: string; inboxId: string }> {
  const { catalog } = await readCatalog(em);
  await em.execute('select 1 from users where id = ? for no key update', [ownerId]);
  await findUser(em, ownerId, 'unknown_owner');
  const createdAt = await readClock(em);
  const id = uuidv7();
  await em.insert(Team, { id, name, personal: false, createdAt });
  await em.insert(Member, { teamId: id, userId: ownerId, role: 'owner', createdAt });
  return { id, name, inboxId: await announceTeam(em, id, ownerId, catalog.trial.perOwner) };
}
