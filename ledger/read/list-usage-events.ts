import type { ClientBase, Pool } from 'pg';
import type { ListPage } from '../../database/list-page.ts';
import {
  type AttributionRow,
  type Receipt,
  type StoredAttribution,
  toAttribution,
} from '../spend/operation.ts';
import { type ReceiptRow, receiptColumnsSql, toReceipt } from '../spend/receipt.ts';
import { type HistoryRange, pageOfHistory, placeBefore, uuidForm } from './history-page.ts';
import { filterSql, type UsageFilter } from './usage-filter.ts';

/** A usage event: what, when, by whom and for what, and the receipt that its caller got. */
export interface ListedUsageEvent extends StoredAttribution {
  receipt: Receipt;
  occurredAt: Date;
  recordedAt: Date;
  metadata: Record<string, unknown> | null;
}

/**
 * A team's usage events with their receipts, newest first by the time when they occurred. An event that is reported
 * late is listed at the time when it occurred.
 * @throws DomainError `invalid_cursor`
 */
export async function listUsageEvents(
  database: Pool | ClientBase,
  teamId: string,
  range: HistoryRange,
  filter: UsageFilter = {},
): Promise<ListPage<ListedUsageEvent>> {
  const before = placeBefore(range, uuidForm);
  const values: unknown[] = [teamId, range.from ?? '-infinity', before.at, before.id, range.limit + 1];
  const { rows } = await database.query<UsageEventRow>({
    // Reads the primary key from its newest end, month by month, only as far as the page needs. The events of
    // a run are found by the index of runs.
    text: `select ${receiptColumnsSql},
                  e.member_id, e.api_key_id, e.run_id, e.step_id, e.tags, e.metadata,
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
  return pageOfHistory(rows.map(toEvent), range.limit, ({ occurredAt, receipt }) => ({
    at: occurredAt,
    id: receipt.id,
  }));
}

interface UsageEventRow extends ReceiptRow, AttributionRow {
  metadata: Record<string, unknown> | null;
  occurred_at: string;
  recorded_at: string;
}

function toEvent(row: UsageEventRow): ListedUsageEvent {
  return {
    receipt: toReceipt(row),
    occurredAt: new Date(Number(row.occurred_at)),
    recordedAt: new Date(Number(row.recorded_at)),
    ...toAttribution(row),
    metadata: row.metadata,
  };
}
