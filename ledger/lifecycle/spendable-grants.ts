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

/** The conditions of the index in burn order. */
function spendableAt(now: Date) {
  return { [raw((alias) => `${alias}.open`)]: true, [raw((alias) => expirySql(alias))]: { $gt: now } };
}
