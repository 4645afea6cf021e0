import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { readClock } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { findUser } from './find-user.ts';
import { announceTeam } from './sign-up.ts';

/**
 * Makes a team that people share, with its owner and the inbox row `team.created`. Belongs in a transaction.
 * @throws DomainError 422 `unknown_user` where the owner has not signed up
 */
export async function createTeam(
  em: EntityManager,
  { name, ownerId }: { name: string; ownerId: string },
): Promise<{ id: string; name: string; inboxId: string }> {
  await findUser(em, ownerId, { status: 422 });
  const createdAt = await readClock(em);
  const id = uuidv7();
  await em.insert(Team, { id, name, personal: false, createdAt });
  await em.insert(Member, { teamId: id, userId: ownerId, role: 'owner', createdAt });
  return { id, name, inboxId: await announceTeam(em, id, ownerId) };
}
