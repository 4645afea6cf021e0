import type { Pool } from 'pg';
import { csvCellSql } from './csv-cell-sql.ts';
import { placeBefore, uuidForm } from './history-page.ts';
import { filterSql, type UsageFilter } from './usage-filter.ts';

/** A page is about 240 kB of text, and 8 ms of Postgres' time. Larger and smaller pages need more memory: docs/scaling.md. */
const rowsPerPage = 700;

/**
 * All usage events of a team in `[from, to)` as lines of a CSV file, newest first, in pages of many lines. Postgres writes the
 * lines: an object per event would leave more garbage here than V8 collects in time.
 *
 * A page is read when it is requested, with a connection that is given back at once, so a slow reader uses none. Events that
 * are recorded meanwhile are included only if they occurred before those that are already read.
 */
export async function* exportUsageEvents(
  pool: Pool,
  teamId: string,
  { from, to }: { from?: Date | undefined; to?: Date | undefined },
  filter: UsageFilter = {},
): AsyncGenerator<string, void, undefined> {
  let before = placeBefore({ to, limit: rowsPerPage }, uuidForm);
  for (;;) {
    const values: unknown[] = [teamId, from ?? '-infinity', before.at, before.id, rowsPerPage];
    const { rows } = await pool.query<Page>({
      // Reads the primary key from its newest end, month by month, only as far as the page needs. JSON is written once, because a
      // cell repeats its column (`offset 0`).
      text: `select count(*)::int as events, string_agg(e.line, '' order by e.occurred_at desc, e.id desc) as lines,
                    min(e.occurred_at)::text as last_at,
                    (array_agg(e.id order by e.occurred_at desc, e.id desc))[count(*)] as last_id
               from (select e.occurred_at, e.id, concat_ws(',', ${Object.values(cells).join(', ')}) || e'\\r\\n' as line
                       from (select e.*, ${quantitiesSql} as quantities_json, ${tagsSql} as tags_json
                               from (select e.*
                                       from usage_events e
                                      where e.team_id = $1
                                        and e.occurred_at >= $2 and e.occurred_at <= $3
                                        and (e.occurred_at, e.id) < ($3, $4)
                                        ${filterSql(filter, values)}
                                      order by e.occurred_at desc, e.id desc
                                      limit $5) as e
                             offset 0) as e) as e`,
      values,
    });
    const [page] = rows;
    if (!page) throw new Error('a page of usage events was not read');
    if (page.events > 0) yield page.lines;
    if (page.events < rowsPerPage) return;
    before = { at: page.last_at, id: page.last_id };
  }
}

/** `last_at` and `last_id` are the position of the last event; null if there is none. */
interface Page {
  events: number;
  lines: string;
  last_at: string;
  last_id: string;
}

/** JSON as `JSON.stringify` writes it. */
const quantitiesSql = `(select '{' || coalesce(string_agg(to_json(line ->> 'meter') || ':' || to_json(line ->> 'quantity'), ',' order by n), '') || '}'
                          from jsonb_array_elements(e.lines) with ordinality as lines (line, n))`;
const tagsSql = `case when e.tags is not null then (select '{' || string_agg(to_json(key) || ':' || to_json(value), ',') || '}' from jsonb_each_text(e.tags)) end`;

const timeSql = (column: string) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The columns of the file, and SQL for their cells. */
const cells = {
  id: 'e.id',
  occurredAt: timeSql('e.occurred_at'),
  recordedAt: timeSql('e.recorded_at'),
  action: csvCellSql('e.action'),
  quantities: csvCellSql('e.quantities_json'),
  // Exact, unlike a division.
  credits: 'trim_scale(e.credits * 0.000001)',
  priceVersion: 'e.price_version',
  memberId: csvCellSql('e.member_id'),
  apiKeyId: csvCellSql('e.api_key_id'),
  runId: csvCellSql('e.run_id'),
  stepId: csvCellSql('e.step_id'),
  tags: csvCellSql('e.tags_json'),
};

/** The columns of the file. None of their names needs quotes. */
export const exportedColumns = Object.keys(cells);
