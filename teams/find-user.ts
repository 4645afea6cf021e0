import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { User } from '../database/entities/user.ts';
import { DomainError } from '../domain-error.ts';
import type { UserProfile } from './sign-up.ts';

/**
 * The user with this id, locked so that they are not erased before the transaction ends.
 * @param code  `unknown_owner` if the id is that of a new team's owner
 * @throws DomainError with this code, also for one who was erased
 */
export async function findUser(
  em: EntityManager,
  id: string,
  code: 'unknown_user' | 'unknown_owner' = 'unknown_user',
): Promise<UserProfile> {
  const user = await em.findOne(User, { id, erasedAt: null }, { lockMode: LockMode.PESSIMISTIC_READ });
  return profileOf(user, id, code);
}

/** The user with this id. @throws DomainError `unknown_user`, also for one who was erased */
export async function readUser(em: EntityManager, id: string): Promise<UserProfile> {
  return profileOf(await em.findOne(User, { id, erasedAt: null }), id, 'unknown_user');
}

function profileOf(user: User | null, id: string, code: 'unknown_user' | 'unknown_owner'): UserProfile {
  if (!user) throw new DomainError(code, `There is no user ${id}`, { userId: id });
  const { name, email } = user;
  if (name === null || email === null) throw new Error(`user ${id} is not erased and has no name or e-mail`);
  return { id, email, name };
}
