import type { EntityManager } from '@mikro-orm/postgresql';
import { Hold } from '../../database/entities/hold.ts';
import { DomainError } from '../../domain-error.ts';

/**
 * The unchanging fields of the hold with this id. Its current state is known only to an operation under the team's
 * lock.
 * @throws DomainError `unknown_hold`
 */
export async function findHold(
  em: EntityManager,
  id: string,
): Promise<Pick<Hold, 'teamId' | 'action' | 'priceVersion'>> {
  const hold = await em.findOne(Hold, { id });
  if (!hold) throw new DomainError('unknown_hold', `There is no hold ${id}`, { holdId: id });
  return hold;
}
