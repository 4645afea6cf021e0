import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { formatCredits } from '../catalog/credits.ts';
import { readCatalog } from '../catalog/versions.ts';
import { type Database, lockTeam } from '../database/connection.ts';
import type { Team } from '../database/entities/team.ts';
import { parkInboxEvent } from '../inbox/inbox.ts';
import { type Decider, dismissEventOfTeam } from '../inbox/operator-decisions.ts';
import { expireCredits } from '../ledger/lifecycle/expire-credits.ts';
import { grantDueDrips } from '../ledger/lifecycle/grant-due-drips.ts';
import * as ledger from '../ledger/lifecycle/grant-trial-credits.ts';
import { assignEvent } from '../polar/assign-event.ts';
import { applyInboxEvent } from './apply-inbox-event.ts';
import { describeTeam, type TeamOverview } from './describe-team.ts';
import { throwAsFailure } from './throw-as-failure.ts';

export type Activities = ReturnType<typeof createActivities>;

/** What became of inbox rows that were to be applied in order. */
export interface AppliedEvents {
  /** So many from the first are over: applied, found to change nothing, or parked. */
  over: number;
  /** The next one can only be settled by asking Polar. */
  mustAskPolar: boolean;
  overview: TeamOverview;
}

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
    /** The workflow's first step, whatever signal started it: the trial that the team's maker claimed, once. */
    grantTrialCredits: (teamId: string): Promise<TeamOverview> =>
      thenDescribed(teamId, async (em, team, now) =>
        team.deletedAt ? null : ledger.grantTrialCredits(em, teamId, await readCatalog(em), now),
      ),

    /**
     * Applies inbox rows in order, from what is stored: short writes, no network. Stops at the first that fails, which is
     * thrown where it is the very first, or that only Polar can settle.
     */
    applyInboxEvents: async (teamId: string, inboxIds: readonly string[]): Promise<AppliedEvents> => {
      let over = 0;
      let mustAskPolar = false;
      let lastDid: string | null = null;
      for (const inboxId of inboxIds) {
        const application = { inboxId, withTeam: <Did>(work: Work<Did>) => withTeam(teamId, work) };
        const applied = await applyInboxEvent(application).catch((error: unknown) => {
          if (over === 0) throw error;
          return null;
        });
        mustAskPolar = applied === 'ask Polar';
        if (applied === null || applied === 'ask Polar') break;
        lastDid = applied.did;
        over += 1;
      }
      return { over, mustAskPolar, overview: await describeTeam(database.fork(), teamId, lastDid) };
    },

    /** Applies one that only Polar can settle: asks first, then applies what Polar says now. */
    applyInboxEventAskingPolar: (teamId: string, inboxId: string): Promise<TeamOverview> =>
      throwAsFailure(async () => {
        const applied = await applyInboxEvent({
          inboxId,
          asking: { polar, database },
          withTeam: (work) => withTeam(teamId, work),
        });
        if (applied === 'ask Polar') throw new Error(`Polar was asked about the event ${inboxId} in vain`);
        return describeTeam(database.fork(), teamId, applied.did);
      }),

    /** A row that kept failing is parked as stuck: visible, and tried again later, so that it holds nothing else up. */
    parkStuckEvent: (teamId: string, inboxId: string, failure: string): Promise<TeamOverview> =>
      thenDescribed(teamId, async (em) => {
        await parkInboxEvent(em, inboxId, 'stuck', failure);
        return `Parked an event that kept failing: ${failure}`;
      }),

    /** An operator settles a parked event of the team without applying it. */
    dismissParkedEvent: (teamId: string, inboxId: string, decider: Decider): Promise<void> =>
      throwAsFailure(() =>
        database.transaction(async (em) => {
          await dismissEventOfTeam(em, inboxId, teamId, decider);
        }),
      ),

    /** An operator assigns a parked event to the team, or one of the team's to a product. */
    assignParkedEvent: (
      teamId: string,
      inboxId: string,
      product: string | null,
      decider: Decider,
    ): Promise<void> =>
      throwAsFailure(() =>
        database.transaction(async (em) => {
          await assignEvent(em, inboxId, { teamId, product }, decider);
        }),
      ),

    /** Books what has expired and grants the drips that are due. */
    bookDueCredits: (teamId: string): Promise<TeamOverview> =>
      thenDescribed(teamId, async (em, team, now) => {
        const { catalog } = await readCatalog(em);
        const drips = team.deletedAt ? 0 : await grantDueDrips(em, teamId, catalog.policies, now);
        const expired = await expireCredits(em, teamId, now);
        const done = [];
        if (drips > 0)
          done.push(`Granted ${drips} due ${drips === 1 ? 'drip' : 'drips'} of the yearly allotment`);
        if (expired > 0n) done.push(`Booked ${formatCredits(expired)} expired credits`);
        return done.join('; ') || null;
      }),
  };

  type Work<Did> = (em: EntityManager, team: Team, now: Date) => Promise<Did>;

  /** One transaction behind the team's lock. */
  function withTeam<Did>(teamId: string, work: Work<Did>): Promise<Did> {
    return database.transaction(async (em) => {
      const locked = await lockTeam(em, teamId);
      if (!locked) throw new Error(`there is no team ${teamId}: no workflow is started for one`);
      return work(em, locked.team, locked.now);
    });
  }

  /** `work` says what it did, null where that is nothing worth telling. */
  async function thenDescribed(teamId: string, work: Work<string | null>): Promise<TeamOverview> {
    const lastDid = await withTeam(teamId, work);
    // After the commit: nobody waits for the lock, or for the credits, while we look.
    return describeTeam(database.fork(), teamId, lastDid);
  }
}
