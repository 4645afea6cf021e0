import type { Pool } from 'pg';

/**
 * Removes the URL from each stored answer whose link has expired. It is no longer needed, and the same request then
 * gets a new one. The rest of the answer stays, so that the key keeps its meaning.
 *
 * @returns how many were removed
 */
export async function cutExpiredLinks(pool: Pool): Promise<number> {
  // Uses the index idempotency_keys_with_link, because there are millions of keys of usage without a link.
  const { rowCount } = await pool.query(
    `update idempotency_keys set response = response - 'url'
      where jsonb_exists(response, 'url')
        and (response->>'expiresAt')::timestamptz <= (select billing_now())`,
  );
  return rowCount ?? 0;
}
