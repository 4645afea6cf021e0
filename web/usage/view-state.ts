import { daysBetween, isLocalDay, isTimeZone, type LocalDay } from './local-days.ts';
import { longestRangeDays, presets, type RangeChoice } from './range.ts';

/** The columns by which a report can be grouped on the page, beside the tags. */
export const columns = ['model', 'action', 'member', 'key', 'run'] as const;
/** A column; `tag:{name}` is the value of a tag. */
export type GroupKey = (typeof columns)[number] | `tag:${string}`;

/** Which usage is shown: a value per column. Null: usage without a value. */
export type Filters = ReadonlyMap<GroupKey, string | null>;

/** Everything that the Usage page shows follows from this state, and it is all in the URL's query. */
export interface ViewState {
  range: RangeChoice;
  zone: string;
  groupBy: GroupKey;
  filters: Filters;
  /** The day whose calls are listed. */
  day: LocalDay | null;
  /** The call whose receipt is open. */
  receipt: ReceiptPlace | null;
  /** Bars have patterns, not only colours. */
  patterns: boolean;
}

/** Where a usage event is in the list of events, which is ordered by time. */
export interface ReceiptPlace {
  id: string;
  /** `occurredAt`, as the API writes it. */
  at: string;
}

const tagName = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const receiptPlace =
  /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)~([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const longestValue = 128;
const longestTagValue = 100;

/**
 * The state that a URL's query describes. Every value is checked. What is missing or wrong gets its default, so an edited
 * or outdated link still shows a page.
 * @param ownZone  the reader's time zone, if the URL names none
 */
export function parseViewState(query: URLSearchParams, ownZone: string): ViewState {
  const zone = query.get('zone');
  const day = query.get('day');
  return {
    range: parseRange(query.get('range')),
    zone: zone !== null && isTimeZone(zone) ? zone : isTimeZone(ownZone) ? ownZone : 'UTC',
    groupBy: parseGroupKey(query.get('by')) ?? 'model',
    filters: parseFilters(query),
    day: day !== null && isLocalDay(day) ? day : null,
    receipt: parseReceipt(query.get('receipt')),
    patterns: query.get('patterns') === '1',
  };
}

/** The query of a state. `parseViewState` reads the same state from it. The zone is always named, so that a link shows the same days everywhere. */
export function writeViewState(state: ViewState): URLSearchParams {
  const query = new URLSearchParams();
  const { range } = state;
  if (range.kind === 'own') query.set('range', `${range.first}..${range.last}`);
  else if (range.kind !== 'cycle') query.set('range', range.kind);
  if (state.groupBy !== 'model') query.set('by', state.groupBy);
  for (const [column, value] of state.filters) {
    if (column.startsWith('tag:')) query.append('tag', `${column.slice('tag:'.length)}:${value ?? ''}`);
    else query.set(column, value ?? '');
  }
  query.set('zone', state.zone);
  if (state.day !== null) query.set('day', state.day);
  if (state.receipt !== null) query.set('receipt', `${state.receipt.at}~${state.receipt.id}`);
  if (state.patterns) query.set('patterns', '1');
  return query;
}

/** A column from its name in the URL or in a select; null if there is no such column. */
export function parseGroupKey(text: string | null): GroupKey | null {
  const column = columns.find((name) => name === text);
  if (column) return column;
  if (!text?.startsWith('tag:') || !tagName.test(text.slice('tag:'.length))) return null;
  return `tag:${text.slice('tag:'.length)}`;
}

/** The filter of a report or of the list of events, as the API's query names it. */
export function filterQuery(filters: Filters): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [column, value] of filters) {
    if (column.startsWith('tag:')) query.tag = `${column.slice('tag:'.length)}:${value ?? ''}`;
    else query[column] = value ?? '';
  }
  return query;
}

/** These filters with one more; the API takes one tag, so a second tag replaces the first. */
export function withFilter(filters: Filters, column: GroupKey, value: string | null): Filters {
  const kept = [...filters].filter(
    ([other]) => other !== column && !(column.startsWith('tag:') && other.startsWith('tag:')),
  );
  return new Map([...kept, [column, value]]);
}

export function withoutFilter(filters: Filters, column: GroupKey): Filters {
  return new Map([...filters].filter(([other]) => other !== column));
}

function parseRange(text: string | null): RangeChoice {
  const preset = presets.find((name) => name === text);
  if (preset) return { kind: preset };
  const [first = '', last = '', ...rest] = text?.split('..') ?? [];
  const isRange = rest.length === 0 && isLocalDay(first) && isLocalDay(last) && first <= last;
  if (!isRange || daysBetween(first, last) >= longestRangeDays) return { kind: 'cycle' };
  return { kind: 'own', first, last };
}

function parseFilters(query: URLSearchParams): Filters {
  const filters = new Map<GroupKey, string | null>();
  for (const column of columns) {
    const value = query.get(column);
    // Every action has a name.
    if (value !== null && value.length <= longestValue && !(column === 'action' && value === ''))
      filters.set(column, value === '' ? null : value);
  }
  const tag = query.get('tag') ?? '';
  const colon = tag.indexOf(':');
  const key = colon > 0 ? parseGroupKey(`tag:${tag.slice(0, colon)}`) : null;
  const value = tag.slice(colon + 1);
  if (key && value.length <= longestTagValue) filters.set(key, value === '' ? null : value);
  return filters;
}

function parseReceipt(text: string | null): ReceiptPlace | null {
  const [, at, id] = receiptPlace.exec(text ?? '') ?? [];
  if (at === undefined || id === undefined || Number.isNaN(Date.parse(at))) return null;
  return { at, id };
}
