import { formatCredits } from '../../catalog/credits.ts';
import { DomainError } from '../../domain-error.ts';
import { allocate, type Draw } from '../rules/allocate.ts';
import type { GrantState, TeamState } from './batch-state.ts';
import { available, drawable } from './changes.ts';

/** The grants that were read are not enough, and the team has others: read all of them and decide again. */
export class MoreGrantsNeeded extends Error {}

/**
 * Chooses the team's grants that pay `credits` micro-credits, in burn order. Moves nothing yet.
 * @param required  the need of the whole operation, if this is only a part of it
 * @throws DomainError `insufficient_credits` {required, available}
 * @throws MoreGrantsNeeded
 */
export function drawCredits(
  team: TeamState,
  credits: bigint,
  now: Date,
  required = credits,
): Draw<GrantState>[] {
  const { draws, short } = allocate(drawable(team, now), credits);
  if (short === 0n) return draws;
  const missing = credits - available(team, now);
  if (missing <= 0n) throw new MoreGrantsNeeded();
  const details = { required: formatCredits(required), available: formatCredits(required - missing) };
  throw new DomainError(
    'insufficient_credits',
    `This needs ${details.required} credits, and the team has ${details.available}`,
    details,
  );
}
