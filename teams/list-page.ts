import { z } from 'zod';
import { DomainError } from '../domain-error.ts';

/** Which part of a list is asked for. */
export interface ListRange {
  limit: number;
  /** The `nextCursor` of the page before. */
  cursor?: string | undefined;
}

export interface ListPage<Item> {
  data: Item[];
  /** Null on the last page. */
  nextCursor: string | null;
}

const uuid = z.guid();

/**
 * The id after which a page begins, of a list that is ordered by id.
 * @throws DomainError 400 `invalid_cursor`
 */
export function uuidCursor(cursor: string | undefined): string {
  if (cursor === undefined) return '00000000-0000-0000-0000-000000000000';
  const parsed = uuid.safeParse(cursor);
  if (parsed.success) return parsed.data;
  throw new DomainError(400, 'invalid_cursor', 'cursor is not the nextCursor of a page of this list');
}
