import type { Database } from '../../database/connection.ts';
import type { CreditOperations } from './credit-operations.ts';

/**
 * Releases every hold that has lapsed, the earliest expiry first. Each is checked again under its team's lock, so of two sweeps
 * only one releases it, and a capture sent in time wins. A hold that cannot be released stops no other.
 *
 * @param batchSize  how many holds are read and released at once
 * @param signal  if it is aborted, no further holds are read
 * @returns how many lapsed holds it ended
 * @throws Error if holds could not be released: how many, with the first error as its cause
 */
export async function sweepHolds(
  database: Database,
  creditOperations: CreditOperations,
  { batchSize, signal }: { batchSize: number; signal?: AbortSignal },
): Promise<number> {
  const failures: unknown[] = [];
  let ended = 0;
  let last: LapsedHold | undefined;
  do {
    const holds = await readLapsed(database, last, batchSize);
    const results = await Promise.allSettled(
      holds.map(({ id, team_id }) =>
        creditOperations.lapse({
          teamId: team_id,
          holdId: id,
          idempotencyKey: null,
          bodyHash: Buffer.alloc(0),
        }),
      ),
    );
    for (const result of results) {
      if (result.status === 'rejected') failures.push(result.reason);
      else ended += 1;
    }
    last = holds.length < batchSize ? undefined : holds.at(-1);
  } while (last && !signal?.aborted);
  if (failures.length > 0)
    throw new Error(`${failures.length} lapsed holds could not be released`, { cause: failures[0] });
  return ended;
}

interface LapsedHold {
  id: string;
  team_id: string;
  /** As Postgres writes it. */
  expires_at: string;
}

/** The next lapsed holds after `last`, in the order of their expiry. */
async function readLapsed(
  { pool }: Database,
  last: LapsedHold | undefined,
  limit: number,
): Promise<LapsedHold[]> {
  const { rows } = await pool.query<LapsedHold>({
    name: 'lapsed-holds',
    text: `select id, team_id, expires_at::text from holds
            where status = 'open' and expires_at <= billing_now() and (expires_at, id) > ($1::timestamptz, $2::uuid)
            order by holds.expires_at, id
            limit $3`,
    values: [last?.expires_at ?? '-infinity', last?.id ?? '00000000-0000-0000-0000-000000000000', limit],
  });
  return rows;
}
