import type { Pool } from 'pg';
import type { HoldAnswer, Receipt, SpendOperation } from './operation.ts';
import { readReceipt } from './read-receipt.ts';

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
