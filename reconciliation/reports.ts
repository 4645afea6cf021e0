import type { EntityManager } from '@mikro-orm/postgresql';
import { Reconciliation } from '../database/entities/reconciliation.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../database/list-page.ts';

/** A run of reconciliation. Its time is in ISO 8601, because it crosses Temporal. */
export interface Run {
  id: string;
  startedAt: string;
}

/** Writes the current report of a run, and replaces its previous one. */
export async function recordReconciliation(em: EntityManager, report: Reconciliation): Promise<void> {
  await em.upsert(Reconciliation, report);
}

/** Every run's report, newest first. */
export async function listReconciliations(
  em: EntityManager,
  { limit, cursor }: ListRange,
): Promise<ListPage<Reconciliation>> {
  const last = cursor === undefined ? null : await em.findOne(Reconciliation, { id: uuidCursor(cursor) });
  const { startedAt, id } = last ?? {};
  const rows = await em.find(
    Reconciliation,
    startedAt && id ? { $or: [{ startedAt: { $lt: startedAt } }, { startedAt, id: { $lt: id } }] } : {},
    { orderBy: { startedAt: 'desc', id: 'desc' }, limit: limit + 1, disableIdentityMap: true },
  );
  return pageOfRows(rows, limit);
}
