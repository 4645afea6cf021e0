import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../../catalog/credits.ts';
import type { PublishedCatalog } from '../../catalog/versions.ts';
import { Grant } from '../../database/entities/grant.ts';
import { TrialClaim } from '../../database/entities/trial-claim.ts';
import { grantCredits } from './grant-credits.ts';

/**
 * Gives a new team its trial, once, if the person who made it claimed one in the transaction that made it. The claim is
 * only read here, so a team that was handed over meanwhile gets what its maker claimed, at the maker's expense. The caller
 * holds the team's lock and has read `now` after it.
 *
 * @returns what was done, in plain words; null if the trial was granted before
 */
export async function grantTrialCredits(
  em: EntityManager,
  teamId: string,
  { catalog: { trial }, version }: PublishedCatalog,
  now: Date,
): Promise<string | null> {
  if ((await em.count(TrialClaim, { teamId })) === 0)
    return 'No trial: the team’s maker has claimed all of theirs';
  const businessKey = `trial:${teamId}`;
  if ((await em.count(Grant, { businessKey })) > 0) return null;
  await grantCredits(
    em,
    {
      teamId,
      source: 'trial',
      businessKey,
      credits: trial.credits,
      effectiveAt: now,
      expiresAt: new Date(now.getTime() + trial.lifetime),
      catalogVersion: version,
    },
    now,
  );
  return `Granted ${formatCredits(trial.credits)} trial credits`;
}
