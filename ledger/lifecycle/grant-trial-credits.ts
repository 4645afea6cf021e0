import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../../catalog/credits.ts';
import type { PublishedCatalog } from '../../catalog/versions.ts';
import { TrialClaim } from '../../database/entities/trial-claim.ts';
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
  // Locks after the team's, and nothing is locked after it: two teams of one owner count one after the other.
  const [owner] = await em.execute<{ id: string; decided: boolean }[]>(
    `select u.id, exists (select from inbox where external_id = ? and status = 'handled') as decided
       from members m join users u on u.id = m.user_id
      where m.team_id = ? and m.role = 'owner'
      order by m.created_at, m.user_id limit 1 for no key update of u`,
    [`team.created:${teamId}`, teamId],
  );
  if (!owner) return 'No trial: the team has no owner';
  // A team that got none as it was new gets none later, with another owner or another catalog.
  if (owner.decided) return null;
  const claims = await em.find(TrialClaim, { $or: [{ teamId }, { ownerId: owner.id }] });
  if (claims.some((claim) => claim.teamId === teamId)) return null;
  if (claims.length >= trial.perOwner) return `No trial: the owner's ${trial.perOwner} trials are claimed`;

  const ordinal = claims.length + 1;
  em.persist(em.create(TrialClaim, { ownerId: owner.id, ordinal, teamId, claimedAt: now }));
  await grantCredits(
    em,
    {
      teamId,
      source: 'trial',
      businessKey: `trial:${teamId}`,
      credits: trial.credits,
      effectiveAt: now,
      expiresAt: new Date(now.getTime() + trial.lifetime),
      catalogVersion: version,
    },
    now,
  );
  return `Granted ${formatCredits(trial.credits)} trial credits`;
}
