import { invalidCursor, type ListPage, type ListRange } from '../../database/list-page.ts';

/** The requested part of a team's history: `[from, to)`, newest first. */
export interface HistoryRange extends ListRange {
  from?: Date | undefined;
  to?: Date | undefined;
}

/** A position between two rows of a history that is ordered by time and then by id. */
export interface HistoryPlace {
  /** ISO 8601, or `infinity`: after everything. */
  at: string;
  id: string;
}

/** The format of the history's ids, and the smallest id. */
export interface IdForm {
  pattern: RegExp;
  least: string;
}

export const uuidForm: IdForm = {
  pattern: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  least: '00000000-0000-0000-0000-000000000000',
};

export const integerForm: IdForm = { pattern: /^\d{1,18}$/, least: '0' };

/**
 * The position before which a page's rows lie. New rows do not change it, so paging through the history returns each
 * row that existed at its start exactly once.
 * @throws DomainError `invalid_cursor`
 */
export function placeBefore({ to, cursor }: HistoryRange, idForm: IdForm): HistoryPlace {
  const end = { at: to?.toISOString() ?? 'infinity', id: idForm.least };
  if (cursor === undefined) return end;
  const [, milliseconds, id] = /^(\d{1,14})\.(.+)$/.exec(cursor) ?? [];
  if (milliseconds === undefined || id === undefined || !idForm.pattern.test(id)) throw invalidCursor();
  const at = new Date(Number(milliseconds));
  return to && to <= at ? end : { at: at.toISOString(), id };
}

/** One page from `limit + 1` rows: the extra row only shows that there is a next page. */
export function pageOfHistory<Row>(
  rows: Row[],
  limit: number,
  placeOf: (row: Row) => { at: Date; id: string },
): ListPage<Row> {
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  if (rows.length <= limit || !last) return { data, nextCursor: null };
  const { at, id } = placeOf(last);
  return { data, nextCursor: `${at.getTime()}.${id}` };
}
