import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../../catalog/credits.ts';
import type { PublishedCatalog } from '../../catalog/versions.ts';
import { Grant } from '../../database/entities/grant.ts';
import { TrialClaim } from '../../database/entities/trial-claim.ts';
import { grantCredits } from './grant-credits.ts';

/**
 * Grants a new team's trial once, if the transaction that created the team claimed one for its creator. The claim is
 * only read here, so if the team was handed over meanwhile, it still gets the trial that its creator claimed. The
 * caller holds the team's lock and has read `now` after it.
 *
 * @returns what was done, as a sentence; null if the trial was already granted
 */
export async function grantTrialCredits(
  em: EntityManager,
  teamId: string,
  { catalog: { trial }, catalogVersion }: PublishedCatalog,
  now: Date,
): Promise<string | null> {
  if ((await em.count(TrialClaim, { teamId })) === 0)
    return 'No trial: the user who created the team has claimed all of their trials';
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
      catalogVersion,
    },
    now,
  );
  return `Granted ${formatCredits(trial.credits)} trial credits`;
}
