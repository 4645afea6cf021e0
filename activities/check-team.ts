import type { EntityManager } from '@mikro-orm/postgresql';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import type { PolarProductRef, PolarTeamRef } from '../polar/events.ts';
import { meansTeam, resolveTeam } from '../polar/resolve-team.ts';

export function unknownProduct({ productId }: PolarProductRef): DomainError {
  return new DomainError(
    'unknown_product',
    `No plan or pack of the catalog is Polar's product ${productId}: add metadata.catalog_key to it there, then run npm run polar:sync -- --apply`,
  );
}

/**
 * The event was routed to this team. If its own names contradict that, an operator decides whose money it is.
 * @throws DomainError `doubtful_team`
 */
export async function checkTeam(em: EntityManager, team: Team, ref: PolarTeamRef): Promise<void> {
  if (meansTeam(ref, team)) return;
  const resolved = await resolveTeam(em, ref);
  if ('doubtful' in resolved) throw new DomainError('doubtful_team', resolved.doubtful);
  if ('teamId' in resolved && resolved.teamId !== team.id)
    throw new DomainError('doubtful_team', `It is of team ${resolved.teamId}, not of ${team.id}`);
}
