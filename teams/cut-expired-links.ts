import type { Pool } from 'pg';

/**
 * Cuts the address out of each stored answer whose link has expired: whoever reads the table has no use for it, and the same
 * request again gets a new one. The rest of the answer stays, so that the key keeps its meaning.
 *
 * @returns how many were cut
 */
export async function cutExpiredLinks(pool: Pool): Promise<number> {
  // Served by idempotency_keys_with_link: usage has millions of keys and no links.
  const { rowCount } = await pool.query(
    `update idempotency_keys set response = response - 'url'
      where jsonb_exists(response, 'url')
        and (response->>'expiresAt')::timestamptz <= (select billing_now())`,
  );
  return rowCount ?? 0;
}
