import type { EntityManager } from '@mikro-orm/postgresql';
import { Adjustment } from '../database/entities/adjustment.ts';
import { type HistoryPage, pageOfHistory, placeBefore, uuidForm } from './history-page.ts';

/**
 * A team's adjustments with who and why, newest first: ids are in order of time.
 * @throws DomainError 400 `invalid_cursor`
 */
export async function listAdjustments(
  em: EntityManager,
  teamId: string,
  range: { limit: number; cursor?: string | undefined },
): Promise<HistoryPage<Adjustment>> {
  const before = range.cursor === undefined ? {} : { id: { $lt: placeBefore(range, uuidForm).id } };
  const rows = await em.find(
    Adjustment,
    { teamId, ...before },
    { orderBy: { id: 'desc' }, limit: range.limit + 1, disableIdentityMap: true },
  );
  return pageOfHistory(rows, range.limit, ({ createdAt, id }) => ({ at: createdAt, id }));
}
