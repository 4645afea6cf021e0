import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { burnOrderSql, expirySql, Grant } from '../../database/entities/grant.ts';

/** How many grants are read at first, before it is known whether they are enough. */
const firstGrants = 32;

/**
 * The team's spendable grants in burn order: the first ones that cover `credits` micro-credits, or all if they have
 * less. The grants after them are not read. The caller holds the team's lock.
 *
 * @param orderId  if given, only the grants that this order paid for
 */
export async function readSpendableGrants(
  em: EntityManager,
  teamId: string,
  { credits, now, orderId }: { credits: bigint; now: Date; orderId?: string | null },
): Promise<Grant[]> {
  await em.flush(); // moves of this transaction count
  const find = (limit?: number) =>
    em.find(
      Grant,
      { teamId, ...(orderId ? { orderId } : {}), ...spendableAt(now), available: { $gt: 0n } },
      { orderBy: [{ [raw(burnOrderSql)]: 'asc' }], ...(limit === undefined ? {} : { limit }) },
    );
  const first = await find(firstGrants);
  const enough = first.reduce((sum, { available }) => sum + available, 0n) >= credits;
  return first.length < firstGrants || enough ? first : find();
}

/** The team's spendable credits at `now`, in micro-credits. The caller holds the team's lock. */
export async function sumSpendableCredits(em: EntityManager, teamId: string, now: Date): Promise<bigint> {
  await em.flush();
  const [row] = await em.execute<{ credits: string }[]>(
    `select coalesce(sum(g.available), 0) as credits from grants g
      where g.team_id = ? and g.open and ${expirySql('g')} > ?`,
    [teamId, now],
  );
  if (!row) throw new Error('a sum has one row');
  return BigInt(row.credits);
}

/** The conditions of the index in burn order. */
function spendableAt(now: Date) {
  return { [raw((alias) => `${alias}.open`)]: true, [raw((alias) => expirySql(alias))]: { $gt: now } };
}
