import type { EntityManager } from '@mikro-orm/postgresql';
import { InboxEvent, type InboxStatus } from '../database/entities/inbox-event.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../database/list-page.ts';

/** Received events, newest first. Ids sort by arrival. */
export async function listInbox(
  em: EntityManager,
  { limit, cursor, ...filter }: ListRange & { status?: InboxStatus; teamId?: string },
): Promise<ListPage<InboxEvent>> {
  const before = cursor === undefined ? {} : { id: { $lt: uuidCursor(cursor) } };
  const rows = await em.find(
    InboxEvent,
    { ...filter, ...before },
    { orderBy: { id: 'desc' }, limit: limit + 1, disableIdentityMap: true },
  );
  return pageOfRows(rows, limit);
}
