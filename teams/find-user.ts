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
  if (!user) throw new DomainError(code, `There is no user ${id}`, { userId: id });
  return profileOf(user);
}

/** The user with this id. @throws DomainError `unknown_user`, also for one who was erased */
export async function readUser(em: EntityManager, id: string): Promise<UserProfile> {
  const user = await em.findOne(User, { id, erasedAt: null });
  if (!user) throw new DomainError('unknown_user', `There is no user ${id}`, { userId: id });
  return profileOf(user);
}

function profileOf({ id, name, email }: User): UserProfile {
  if (name === null || email === null) throw new Error(`user ${id} is not erased and has no name or e-mail`);
  return { id, email, name };
}
