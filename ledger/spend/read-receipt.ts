import type { Pool } from 'pg';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { StoredReceiptLine } from '../../database/entities/usage-event.ts';
import type { EventLocation, Receipt } from './operation.ts';

/**
 * SQL for the columns of `ReceiptRow`, of the usage event `e`. A transfer has its event's recorded_at, so the transfers are
 * found by primary key.
 */
export const receiptColumnsSql = `
       e.id, e.action, e.credits, e.lines, e.price_version, e.balance_after, e.hold_id,
       (select coalesce(json_agg(json_build_object('grantId', paid.grant_id, 'source', g.source, 'credits', paid.amount::text) order by paid.first), '[]')
          from (select t.grant_id, sum(t.amount) as amount, min(t.id) as first
                  from transfers t
                 where t.team_id = e.team_id and t.at = e.recorded_at and t.usage_event_id = e.id
                 group by t.grant_id) as paid
          join grants g on g.id = paid.grant_id) as grants`;

export interface ReceiptRow {
  id: string;
  action: string;
  credits: string;
  lines: StoredReceiptLine[];
  price_version: number;
  balance_after: string;
  hold_id: string | null;
  grants: { grantId: string; source: GrantSource; credits: string }[];
}

export function toReceipt(row: ReceiptRow): Receipt {
  return {
    id: row.id,
    action: row.action,
    credits: BigInt(row.credits),
    lines: row.lines,
    grants: row.grants.map((grant) => ({ ...grant, credits: BigInt(grant.credits) })),
    priceVersion: row.price_version,
    holdId: row.hold_id,
    balance: { available: BigInt(row.balance_after) },
  };
}

/** Rebuilds the receipt of a stored usage event from the event and its transfers, equal to the caller's answer. */
export async function readReceipt(pool: Pool, { teamId, id, occurredAt }: EventLocation): Promise<Receipt> {
  const { rows } = await pool.query<ReceiptRow>({
    name: 'read-receipt',
    text: `select ${receiptColumnsSql}
             from usage_events e
            where e.team_id = $1 and e.occurred_at = $2 and e.id = $3`,
    values: [teamId, occurredAt, id],
  });
  const event = rows[0];
  if (!event) throw new Error(`usage event ${id} of team ${teamId} is missing`);
  return toReceipt(event);
}
