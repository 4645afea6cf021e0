import { z } from 'zod';
import { DomainError } from '../domain-error.ts';

/** The requested part of a list. */
export interface ListRange {
  limit: number;
  /** The `nextCursor` of the previous page. */
  cursor?: string | undefined;
}

export interface ListPage<Item> {
  data: Item[];
  /** Null on the last page. */
  nextCursor: string | null;
}

const uuid = z.guid();

/**
 * The id after which a page begins, for a list that is ordered by id. Without a cursor, the smallest id.
 * @throws DomainError `invalid_cursor`
 */
export function uuidCursor(cursor: string | undefined): string {
  if (cursor === undefined) return '00000000-0000-0000-0000-000000000000';
  const parsed = uuid.safeParse(cursor);
  if (parsed.success) return parsed.data;
  throw invalidCursor();
}

/** `invalid_cursor` */
export function invalidCursor(): DomainError {
  return new DomainError('invalid_cursor', 'cursor must be the nextCursor of a page of this list');
}

/** One page from `limit + 1` rows: the extra row only shows that there is a next page. */
export function pageOfRows<Item extends { id: string }>(rows: Item[], limit: number): ListPage<Item> {
  const data = rows.slice(0, limit);
  return { data, nextCursor: rows.length > limit ? (data.at(-1)?.id ?? null) : null };
}
