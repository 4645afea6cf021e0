import type { EntityManager } from '@mikro-orm/postgresql';
import { Adjustment } from '../../database/entities/adjustment.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../../database/list-page.ts';

/**
 * A team's adjustments with who and why, newest first. Ids sort by time.
 * @throws DomainError `invalid_cursor`
 */
export async function listAdjustments(
  em: EntityManager,
  teamId: string,
  { limit, cursor }: ListRange,
): Promise<ListPage<Adjustment>> {
  const before = cursor === undefined ? {} : { id: { $lt: uuidCursor(cursor) } };
  const rows = await em.find(
    Adjustment,
    { teamId, ...before },
    { orderBy: { id: 'desc' }, limit: limit + 1, disableIdentityMap: true },
  );
  return pageOfRows(rows, limit);
}
