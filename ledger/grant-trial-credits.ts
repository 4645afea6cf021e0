import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../catalog/credits.ts';
import type { PublishedCatalog } from '../catalog/versions.ts';
import { Grant } from '../database/entities/grant.ts';
import { Member } from '../database/entities/member.ts';
import { TrialClaim } from '../database/entities/trial-claim.ts';
import { grantCredits } from './grant-credits.ts';

/**
 * Gives a new team its trial, once, and only to an owner's first few teams: each trial claims an ordinal of its
 * owner, which stays claimed when the team is deleted or handed over. The caller holds the team's lock and has read
 * `now` after it.
 *
 * @returns what was done, in plain words; null where the trial had been settled before
 */
export async function grantTrialCredits(
  em: EntityManager,
  teamId: string,
  { catalog: { trial }, version }: PublishedCatalog,
  now: Date,
): Promise<string | null> {
  const businessKey = `trial:${teamId}`;
  if (await em.findOne(Grant, { businessKey })) return null;
  const owner = await em.findOne(
    Member,
    { teamId, role: 'owner' },
    { orderBy: { createdAt: 'asc', userId: 'asc' } },
  );
  if (!owner) return 'No trial: the team has no owner';

  // Locks after the team's, and nothing is locked after it: two teams of one owner count one after the other.
  await em.execute('select 1 from users where id = ? for no key update', [owner.userId]);
  const claimed = await em.count(TrialClaim, { ownerId: owner.userId });
  if (claimed >= trial.perOwner) return `No trial: the owner's ${trial.perOwner} trials are claimed`;

  em.persist(em.create(TrialClaim, { ownerId: owner.userId, ordinal: claimed + 1, teamId, claimedAt: now }));
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
