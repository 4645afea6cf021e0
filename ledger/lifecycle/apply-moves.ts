import type { EntityManager } from '@mikro-orm/postgresql';
import type { Grant } from '../../database/entities/grant.ts';
import { Team } from '../../database/entities/team.ts';
import { type Move, moveBetween } from '../rules/grant.ts';

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
