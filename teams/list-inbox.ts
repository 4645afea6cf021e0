import type { EntityManager } from '@mikro-orm/postgresql';
import { InboxEvent, type InboxStatus } from '../database/entities/inbox-event.ts';
import { type ListPage, type ListRange, uuidCursor } from './list-page.ts';

/** What was received, newest first: ids are in order of arrival. */
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
  const data = rows.slice(0, limit);
  return { data, nextCursor: rows.length > limit ? (data.at(-1)?.id ?? null) : null };
}
