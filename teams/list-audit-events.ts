import type { EntityManager } from '@mikro-orm/postgresql';
import { AuditEvent } from '../database/entities/audit-event.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../database/list-page.ts';

/**
 * Administrative actions, newest first. Ids sort by time.
 * @throws DomainError `invalid_cursor`
 */
export async function listAuditEvents(
  em: EntityManager,
  { teamId, actor, limit, cursor }: ListRange & { teamId?: string | undefined; actor?: string | undefined },
): Promise<ListPage<AuditEvent>> {
  const rows = await em.find(
    AuditEvent,
    {
      ...(teamId === undefined ? {} : { teamId }),
      ...(actor === undefined ? {} : { actor }),
      ...(cursor === undefined ? {} : { id: { $lt: uuidCursor(cursor) } }),
    },
    { orderBy: { id: 'desc' }, limit: limit + 1, disableIdentityMap: true },
  );
  return pageOfRows(rows, limit);
}
