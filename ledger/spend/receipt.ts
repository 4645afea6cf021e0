import type { Pool } from 'pg';
import { type PricedUsage, receiptLine } from '../../catalog/price-usage.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import type { StoredReceiptLine } from '../../database/entities/usage-event.ts';
import type { EventLocation, HoldAnswer, Receipt, SpendOperation } from './operation.ts';

/**
 * The answer to a debit.
 * @param grants  the grants that paid, in the order in which they were drawn
 * @param balance  the team's spendable micro-credits afterwards
 */
export function makeReceipt(
  id: string,
  { action, priceVersion }: { action: string; priceVersion: number },
  { credits, lines }: PricedUsage,
  grants: Receipt['grants'],
  balance: bigint,
  holdId: string | null,
): Receipt {
  return {
    id,
    action,
    credits,
    lines: lines.map(receiptLine),
    grants,
    priceVersion,
    holdId,
    balance: { available: balance },
  };
}

/**
 * The answer to an earlier request with this key; null if there was none, or if it was another request. For requests
 * that would fail today, for example because the action was archived: a retry gets the first answer.
 */
export async function findReplay(
  pool: Pool,
  { teamId, idempotencyKey, bodyHash }: Pick<SpendOperation, 'teamId' | 'idempotencyKey' | 'bodyHash'>,
): Promise<{ receipt: Receipt } | { hold: HoldAnswer } | null> {
  const { rows } = await pool.query<
    { event: null; response: HoldAnswer } | { event: string; occurred_at: string }
  >({
    name: 'find-replay',
    text: `select usage_event_id as event, extract(epoch from occurred_at) * 1000 as occurred_at, response
             from idempotency_keys
            where scope = $1 and key = $2 and body_hash = $3`,
    values: [teamId, idempotencyKey, bodyHash],
  });
  const known = rows[0];
  if (!known) return null;
  if (known.event === null) return { hold: known.response };
  const occurredAt = new Date(Number(known.occurred_at));
  return { receipt: await readReceipt(pool, { teamId, id: known.event, occurredAt }) };
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
