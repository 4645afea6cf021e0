import type { Pool } from 'pg';
import type { GrantSource } from '../../database/entities/grant.ts';
import { type Account, type TransferKind, transferKinds } from '../../database/entities/transfer.ts';
import type { ListPage } from '../../database/list-page.ts';
import { type HistoryRange, integerForm, pageOfHistory, placeBefore } from './history-page.ts';

/** One move between two accounts of a grant, in micro-credits. */
export interface ListedTransfer {
  id: string;
  at: Date;
  kind: TransferKind;
  grantId: string;
  source: GrantSource;
  from: Account;
  to: Account;
  credits: bigint;
  usageEventId: string | null;
  /** The business key or id of its cause, if that is not a usage event. */
  reference: string | null;
}

/** Kinds that each usage creates. All other kinds are rare and have an index of their own. */
const usageKinds: readonly TransferKind[] = ['spend', 'hold', 'capture', 'release'];

/**
 * Every transfer of a team, newest first.
 * @param kinds  only these; default: all
 * @throws DomainError `invalid_cursor`
 */
export async function listTransfers(
  pool: Pool,
  teamId: string,
  range: HistoryRange,
  kinds: readonly TransferKind[] = transferKinds,
): Promise<ListPage<ListedTransfer>> {
  const before = placeBefore(range, integerForm);
  const withoutUsage = !kinds.some((kind) => usageKinds.includes(kind));
  const { rows } = await pool.query<TransferRow>({
    name: withoutUsage ? 'list-transfers-without-usage' : 'list-transfers',
    // Reads the primary key, or the index of transfers without usage, from its newest end, month by month, only as far as the
    // page needs. The condition on usage is that of the index.
    text: `select t.id, t.kind, t.grant_id, t.from_account, t.to_account, t.amount, t.usage_event_id, t.reference,
                  extract(epoch from t.at) * 1000 as at,
                  (select g.source from grants g where g.id = t.grant_id) as source
             from transfers t
            where t.team_id = $1
              and t.at >= $2 and t.at <= $3
              and (t.at, t.id) < ($3, $4)
              and t.kind = any($6)
              ${withoutUsage ? "and t.kind not in ('spend', 'hold', 'capture', 'release')" : ''}
            order by t.at desc, t.id desc
            limit $5`,
    values: [teamId, range.from ?? '-infinity', before.at, before.id, range.limit + 1, kinds],
  });
  return pageOfHistory(rows.map(toTransfer), range.limit, (transfer) => transfer);
}

interface TransferRow {
  id: string;
  at: string;
  kind: TransferKind;
  grant_id: string;
  source: GrantSource;
  from_account: Account;
  to_account: Account;
  amount: string;
  usage_event_id: string | null;
  reference: string | null;
}

function toTransfer(row: TransferRow): ListedTransfer {
  return {
    id: row.id,
    at: new Date(Number(row.at)),
    kind: row.kind,
    grantId: row.grant_id,
    source: row.source,
    from: row.from_account,
    to: row.to_account,
    credits: BigInt(row.amount),
    usageEventId: row.usage_event_id,
    reference: row.reference,
  };
}
