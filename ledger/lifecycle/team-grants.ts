import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { burnOrderSql, expirySql, Grant } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { type Move, moveBetween } from '../rules/grant.ts';

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
      { ...withAvailable(teamId, { $gt: now }), ...(orderId ? { orderId } : {}) },
      { orderBy: [{ [raw(burnOrderSql)]: 'asc' }], ...(limit === undefined ? {} : { limit }) },
    );
  const first = await find(firstGrants);
  const enough = first.reduce((sum, { available }) => sum + available, 0n) >= credits;
  return first.length < firstGrants || enough ? first : find();
}

/** The team's grants that have expired at `now` and whose transfers are not written. */
export function readExpiredGrants(em: EntityManager, teamId: string, now: Date): Promise<Grant[]> {
  return em.find(Grant, withAvailable(teamId, { $lte: now }), { orderBy: { id: 'asc' } });
}

/** The conditions of the index in burn order, so that no other grants are read. */
function withAvailable(teamId: string, expiry: { $gt: Date } | { $lte: Date }) {
  return {
    teamId,
    [raw((alias) => `${alias}.open`)]: true,
    [raw((alias) => expirySql(alias))]: expiry,
    available: { $gt: 0n },
  };
}

/**
 * Moves credits between accounts of grants: writes a transfer for each move together with the grant's two columns, so
 * that each column stays the sum of its transfers. The next flush writes the grants. The caller holds the team's lock.
 *
 * @param grants  the grants that the moves name
 * @param givesUp  for an adjustment that names the order which paid for the grants: its moves count as taken back, not
 *   as used
 */
export async function applyMoves(
  em: EntityManager,
  grants: readonly Grant[],
  moves: readonly Move[],
  at: Date,
  { givesUp = false }: { givesUp?: boolean } = {},
): Promise<void> {
  if (moves.length === 0) return;
  const byId = new Map(grants.map((grant) => [grant.id, grant]));
  const transfers = moves.map(({ grantId, kind, from, to, amount, reference }) => {
    const grant = byId.get(grantId);
    if (!grant) throw new Error(`a plan moves credits of grant ${grantId}, which was not passed to it`);
    moveBetween(grant, { from, to, amount });
    if (to === 'available' && from !== 'held') em.getReference(Team, grant.teamId).creditsCameIn = true;
    if (kind === 'adjust' && !givesUp) grant.adjusted += amount;
    if (kind === 'forfeit' || givesUp) grant.writtenOff += amount;
    return { team: grant.teamId, grant: grantId, kind, from, to, amount: String(amount), reference };
  });
  // As SQL, because MikroORM would wait for the id of each transfer.
  await em.execute(
    `insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
     select (t ->> 'team')::uuid, ?::timestamptz, (t ->> 'grant')::uuid, t ->> 'kind', t ->> 'from', t ->> 'to',
            (t ->> 'amount')::bigint, t ->> 'reference'
       from jsonb_array_elements(?::jsonb) with ordinality as all_transfers (t, place)
      order by place`,
    [at, JSON.stringify(transfers)],
  );
}
