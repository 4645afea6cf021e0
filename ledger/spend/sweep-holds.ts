import type { Database } from '../../database/connection.ts';
import type { CreditOperations } from './credit-operations.ts';

/**
 * Releases lapsed holds, the earliest expiry first. Each is checked again under its team's lock, so of two sweeps only
 * one releases it, and a capture sent in time wins.
 *
 * @param limit  the maximum number of holds
 * @returns how many lapsed holds it found and ended; if equal to `limit`, there may be more
 */
export async function sweepHolds(
  database: Database,
  creditOperations: CreditOperations,
  { limit }: { limit: number },
): Promise<number> {
  const { rows } = await database.pool.query<{ id: string; team_id: string }>({
    name: 'lapsed-holds',
    text: `select id, team_id from holds
            where status = 'open' and expires_at <= billing_now()
            order by expires_at, id
            limit $1`,
    values: [limit],
  });
  const ended = await Promise.allSettled(
    rows.map(({ id, team_id }) =>
      creditOperations.lapse({
        teamId: team_id,
        holdId: id,
        idempotencyKey: null,
        bodyHash: Buffer.alloc(0),
      }),
    ),
  );
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return rows.length;
}
