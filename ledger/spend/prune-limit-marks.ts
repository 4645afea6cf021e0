import type { Pool } from 'pg';

/** Longer than any cycle, so no limit counts from an earlier instant. */
const keptDays = 400;
/** Limits per statement. */
const limitsAtOnce = 100;

/**
 * Deletes the marks of limits that no cycle can need: those older than 400 days, except the last of them, because
 * later consumption is counted from it. Needs no team's lock, because the counts of the limits do not change.
 *
 * @returns how many marks were deleted
 */
export async function pruneLimitMarks(pool: Pool): Promise<number> {
  let deleted = 0;
  for (let after: bigint | null = 0n; after !== null; ) {
    const pruned = await pruneSome(pool, after);
    deleted += pruned.deleted;
    after = pruned.last;
  }
  return deleted;
}

/** @returns the last of the processed limits, by its counter; null if there was none */
async function pruneSome(pool: Pool, after: bigint): Promise<{ last: bigint | null; deleted: number }> {
  const { rows } = await pool.query<{ last: string | null; deleted: string }>(
    `with pruned as (
       select counter_id,
              (select max(at) from limit_marks m
                where m.counter_id = l.counter_id and m.at < (select billing_now() - make_interval(days => $2))) as first_kept
         from limits l
        where counter_id > $1
        order by counter_id
        limit $3
     ), deleted as (
       delete from limit_marks m using pruned p where m.counter_id = p.counter_id and m.at < p.first_kept returning 1
     )
     select (select max(counter_id) from pruned) as last, (select count(*) from deleted) as deleted`,
    [after, keptDays, limitsAtOnce],
  );
  const [row] = rows;
  if (!row) throw new Error('an aggregate has one row');
  return { last: row.last === null ? null : BigInt(row.last), deleted: Number(row.deleted) };
}
