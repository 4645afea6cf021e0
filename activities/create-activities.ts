import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { formatCredits } from '../catalog/credits.ts';
import { readCatalog } from '../catalog/versions.ts';
import { type Database, lockTeam, readClock } from '../database/connection.ts';
import type { Team } from '../database/entities/team.ts';
import { expireCredits } from '../ledger/expire-credits.ts';
import { grantDueDrips } from '../ledger/grant-due-drips.ts';
import * as ledger from '../ledger/grant-trial-credits.ts';
import { parkInboxEvent } from '../teams/inbox.ts';
import { type AppliedEvent, applyInboxEvent } from './apply-inbox-event.ts';
import { describeTeam, type TeamStanding } from './describe-team.ts';

export type Activities = ReturnType<typeof createActivities>;

export interface ActivityDependencies {
  database: Database;
  polar: Polar;
}

/**
 * What a team's workflow may do. Each is idempotent and answers with how the team stands afterwards; the first word
 * of what it did is for people (the workflow's details in the Temporal UI).
 */
export function createActivities({ database, polar }: ActivityDependencies) {
  return {
    /** The workflow's first step, whatever signal started it: the trial is given once and to an owner's first few teams. */
    grantTrialCredits: (teamId: string): Promise<TeamStanding> =>
      withTeam(teamId, async (em, team, now) =>
        team.deletedAt ? null : ledger.grantTrialCredits(em, teamId, await readCatalog(em), now),
      ),

    /** Applies one inbox row, from what is stored: a short write, no network. May find that Polar must be asked. */
    applyInboxEvent: (teamId: string, inboxId: string): Promise<AppliedEvent> =>
      applyInboxEvent({ database, inboxId, withTeam: (work) => withTeam(teamId, work) }),

    /** As `applyInboxEvent`, for a row that only Polar can settle: asks first, then applies what Polar says now. */
    applyInboxEventAskingPolar: (teamId: string, inboxId: string): Promise<AppliedEvent> =>
      applyInboxEvent({ database, inboxId, polar, withTeam: (work) => withTeam(teamId, work) }),

    /** A row that kept failing is parked as stuck: visible, and tried again later, so that it holds nothing else up. */
    parkStuckEvent: async (teamId: string, inboxId: string, failure: string): Promise<AppliedEvent> => {
      const standing = await withTeam(teamId, async (em) => {
        await parkInboxEvent(em, inboxId, 'stuck', failure);
        return `Parked an event that kept failing: ${failure}`;
      });
      return { settled: false, mustAskPolar: false, standing };
    },

    /** Books what has expired and grants the drips that are due. */
    bookDueCredits: (teamId: string): Promise<TeamStanding> =>
      withTeam(teamId, async (em, team, now) => {
        const { catalog } = await readCatalog(em);
        const drips = team.deletedAt
          ? 0
          : await grantDueDrips(em, teamId, catalog.policies.renewalGrace, now);
        const expired = await expireCredits(em, teamId, now);
        const done = [];
        if (drips > 0)
          done.push(`Granted ${drips} due ${drips === 1 ? 'drip' : 'drips'} of the yearly allotment`);
        if (expired > 0n) done.push(`Booked ${formatCredits(expired)} expired credits`);
        return done.join('; ') || null;
      }),
  };

  /** One transaction behind the team's lock; `work` says what it did, null where that is nothing worth telling. */
  async function withTeam(
    teamId: string,
    work: (em: EntityManager, team: Team, now: Date) => Promise<string | null>,
  ): Promise<TeamStanding> {
    const lastDid = await database.transaction(async (em) => {
      const team = await lockTeam(em, teamId);
      if (!team) throw new Error(`there is no team ${teamId}: no workflow is started for one`);
      return work(em, team, await readClock(em));
    });
    // After the commit: nobody waits for the lock, or for the credits, while we look.
    return describeTeam(database.fork(), teamId, lastDid);
  }
}
