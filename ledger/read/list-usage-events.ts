import type { ClientBase, Pool } from 'pg';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { StoredReceiptLine, Tags } from '../../database/entities/usage-event.ts';
import type { StoredAttribution } from '../spend/attribution.ts';
import type { Receipt } from '../spend/operation.ts';
import { type HistoryPage, type HistoryRange, pageOfHistory, placeBefore, uuidForm } from './history-page.ts';
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
): Promise<HistoryPage<ListedUsageEvent>> {
  const before = placeBefore(range, uuidForm);
  const values: unknown[] = [teamId, range.from ?? '-infinity', before.at, before.id, range.limit + 1];
  const { rows } = await database.query<UsageEventRow>({
    // Reads the primary key from its newest end, month by month, only as far as the page needs. The events of
    // a run are found by the index of runs. A transfer has its
    // event's recorded_at, so receipts are found by primary key too.
    text: `select e.id, e.action, e.credits, e.lines, e.price_version, e.balance_after, e.hold_id, e.member_id, e.api_key_id,
                  e.run_id, e.step_id, e.tags, e.metadata,
                  extract(epoch from e.occurred_at) * 1000 as occurred_at,
                  extract(epoch from e.recorded_at) * 1000 as recorded_at,
                  (select coalesce(json_agg(json_build_object('grantId', paid.grant_id, 'source', g.source, 'credits', paid.amount::text) order by paid.first), '[]')
                     from (select t.grant_id, sum(t.amount) as amount, min(t.id) as first
                             from transfers t
                            where t.team_id = e.team_id and t.at = e.recorded_at and t.usage_event_id = e.id
                            group by t.grant_id) as paid
                     join grants g on g.id = paid.grant_id) as grants
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

interface UsageEventRow {
  id: string;
  action: string;
  credits: string;
  lines: StoredReceiptLine[];
  price_version: number;
  balance_after: string;
  hold_id: string | null;
  member_id: string | null;
  api_key_id: string | null;
  run_id: string | null;
  step_id: string | null;
  tags: Tags | null;
  metadata: Record<string, unknown> | null;
  occurred_at: string;
  recorded_at: string;
  grants: { grantId: string; source: GrantSource; credits: string }[];
}

function toEvent(row: UsageEventRow): ListedUsageEvent {
  return {
    receipt: {
      id: row.id,
      action: row.action,
      credits: BigInt(row.credits),
      lines: row.lines,
      grants: row.grants.map((grant) => ({ ...grant, credits: BigInt(grant.credits) })),
      priceVersion: row.price_version,
      holdId: row.hold_id,
      balance: { available: BigInt(row.balance_after) },
    },
    occurredAt: new Date(Number(row.occurred_at)),
    recordedAt: new Date(Number(row.recorded_at)),
    memberId: row.member_id,
    apiKeyId: row.api_key_id,
    runId: row.run_id,
    stepId: row.step_id,
    tags: row.tags,
    metadata: row.metadata,
  };
}
