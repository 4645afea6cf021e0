import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { User } from '../database/entities/user.ts';
import { DomainError } from '../domain-error.ts';

/**
 * The person with this id, who is not erased before the transaction ends.
 * @param refusal  the status of the refusal: 404 where the id is the address, 422 where it is in a body
 * @throws DomainError `unknown_user`, also for one who was erased
 */
export async function findUser(em: EntityManager, id: string, refusal: { status: 404 | 422 }): Promise<User> {
  const user = await em.findOne(User, { id, erasedAt: null }, { lockMode: LockMode.PESSIMISTIC_READ });
  if (!user) throw new DomainError(refusal.status, 'unknown_user', `There is no user ${id}`, { userId: id });
  return user;
}
