import type { EntityManager } from '@mikro-orm/postgresql';
import { readClock } from '../../database/connection.ts';
import { Hold, type HoldStatus } from '../../database/entities/hold.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../../database/list-page.ts';
import { DomainError } from '../../domain-error.ts';
import type { StoredAttribution } from '../spend/operation.ts';

/** The current state of a hold. Credits in micro-credits. */
export type ReadHold = Pick<
  Hold,
  'id' | 'teamId' | 'action' | 'credits' | 'status' | 'createdAt' | 'expiresAt' | keyof StoredAttribution
>;

/**
 * A team's open holds, oldest first. Ids sort by time. Expired holds are left out, whether they are swept or not.
 * @throws DomainError `invalid_cursor`
 */
export async function listOpenHolds(
  em: EntityManager,
  teamId: string,
  { limit, cursor }: ListRange,
): Promise<ListPage<ReadHold>> {
  const rows = await em.find(
    Hold,
    { teamId, status: 'open', expiresAt: { $gt: await readClock(em) }, id: { $gt: uuidCursor(cursor) } },
    { orderBy: { id: 'asc' }, limit: limit + 1, disableIdentityMap: true },
  );
  return pageOfRows(rows, limit);
}

/**
 * One hold. An open hold after its expiry is `lapsed`, whether it is swept or not.
 * @throws DomainError `unknown_hold`
 */
export async function readHold(em: EntityManager, id: string): Promise<ReadHold> {
  const hold = await em.findOne(Hold, { id });
  if (!hold) throw unknownHold(id);
  const isOver = hold.status === 'open' && hold.expiresAt <= (await readClock(em));
  const status: HoldStatus = isOver ? 'lapsed' : hold.status;
  return { ...hold, status };
}

/** `unknown_hold`. The same error if it does not exist or the user is not in its team, so that neither is revealed. */
export function unknownHold(id: string): DomainError {
  return new DomainError('unknown_hold', `There is no hold ${id}`, { holdId: id });
}
