import type { Pool } from 'pg';
import type { StoredReceiptLine } from '../../database/entities/usage-event.ts';
import { type AttributionRow, type StoredAttribution, toAttribution } from '../spend/operation.ts';
import { placeBefore, uuidForm } from './history-page.ts';
import { filterSql, type UsageFilter } from './usage-filter.ts';

/** A usage event without the grants that paid for it. `credits` is in micro-credits. */
export interface ExportedUsageEvent extends StoredAttribution {
  id: string;
  occurredAt: Date;
  recordedAt: Date;
  action: string;
  credits: bigint;
  lines: StoredReceiptLine[];
  priceVersion: number;
}

/** A page needs about 2 MB of memory, and some milliseconds of Postgres' time. */
const rowsPerPage = 1_000;

/**
 * All usage events of a team in `[from, to)`, newest first, in pages. A page is read when it is requested, with a connection
 * that is given back at once, so a slow reader uses none. Events that are recorded meanwhile are included only if they occurred
 * before those that are already read.
 */
export async function* exportUsageEvents(
  pool: Pool,
  teamId: string,
  { from, to }: { from?: Date | undefined; to?: Date | undefined },
  filter: UsageFilter = {},
): AsyncGenerator<ExportedUsageEvent[], void, undefined> {
  let before = placeBefore({ to, limit: rowsPerPage }, uuidForm);
  for (;;) {
    const values: unknown[] = [teamId, from ?? '-infinity', before.at, before.id, rowsPerPage];
    const { rows } = await pool.query<Row>({
      // Reads the primary key from its newest end, month by month, only as far as the page needs.
      text: `select e.id, e.action, e.credits, e.lines, e.price_version,
                    e.member_id, e.api_key_id, e.run_id, e.step_id, e.tags,
                    extract(epoch from e.occurred_at) * 1000 as occurred_at,
                    extract(epoch from e.recorded_at) * 1000 as recorded_at
               from usage_events e
              where e.team_id = $1
                and e.occurred_at >= $2 and e.occurred_at <= $3
                and (e.occurred_at, e.id) < ($3, $4)
                ${filterSql(filter, values)}
              order by e.occurred_at desc, e.id desc
              limit $5`,
      values,
    });
    const events = rows.map(toEvent);
    if (events.length > 0) yield events;
    const last = events.at(-1);
    if (events.length < rowsPerPage || !last) return;
    before = { at: last.occurredAt.toISOString(), id: last.id };
  }
}

interface Row extends AttributionRow {
  id: string;
  action: string;
  credits: string;
  lines: StoredReceiptLine[];
  price_version: number;
  occurred_at: string;
  recorded_at: string;
}

function toEvent(row: Row): ExportedUsageEvent {
  return {
    id: row.id,
    occurredAt: new Date(Number(row.occurred_at)),
    recordedAt: new Date(Number(row.recorded_at)),
    action: row.action,
    credits: BigInt(row.credits),
    lines: row.lines,
    priceVersion: row.price_version,
    ...toAttribution(row),
  };
}
