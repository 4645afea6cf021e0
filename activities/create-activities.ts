import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { formatCredits } from '../catalog/credits.ts';
import { readCatalog } from '../catalog/versions.ts';
import { type Database, lockTeam } from '../database/connection.ts';
import type { Team } from '../database/entities/team.ts';
import { isConnectionError, isDataError, isTransientError } from '../database/errors.ts';
import { parkInboxEvent } from '../inbox/inbox.ts';
import { markSuperseded, nextEvents } from '../inbox/next-events.ts';
import { type Decider, dismissEventOfTeam } from '../inbox/operator-decisions.ts';
import { expireCredits } from '../ledger/lifecycle/expire-credits.ts';
import { grantDueDrips } from '../ledger/lifecycle/grant-due-drips.ts';
import * as ledger from '../ledger/lifecycle/grant-trial-credits.ts';
import { assignEvent } from '../polar/assign-event.ts';
import { applyInboxEvent } from './apply-inbox-event.ts';
import { describeTeam, type TeamOverview } from './describe-team.ts';
import { throwAsFailure } from './throw-as-failure.ts';

/** How many waiting events one activity applies at most. */
const together = 40;

export type Activities = ReturnType<typeof createActivities>;

/** What became of a team's waiting inbox rows. Those that are in none of the lists are still to be applied. */
export interface AppliedEvents {
  /** Applied, superseded, found to change nothing, or parked. */
  over: string[];
  /** Can only be applied with what Polar says now, or failed: they step aside, so that they hold up no other event. */
  aside: string[];
  overview: TeamOverview;
}

/** The operator of a Temporal update, as they name themselves, and the reason. */
type Operator = Pick<Decider, 'by' | 'reason'>;

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
     * Applies a team's waiting inbox rows from what is stored: short writes, no network. Payments come first, and of several
     * states of one object only the newest is applied. At most 40 in one call.
     *
     * @throws what the first row failed of, where nothing at all could be applied: the database is then the likely cause
     */
    applyInboxEvents: async (teamId: string, inboxIds: readonly string[]): Promise<AppliedEvents> => {
      const { order, superseded } = await withTeam(teamId, async (em) => {
        const next = await nextEvents(em, teamId, inboxIds);
        await markSuperseded(em, teamId, next.superseded);
        return next;
      });
      const waiting = new Set(order);
      // Settled by an earlier attempt, or unknown since a restore: nothing is left to do.
      const over = inboxIds.filter((inboxId) => !waiting.has(inboxId));
      const aside: string[] = [];
      let lastDid = superseded.length > 0 ? `Passed over ${superseded.length} superseded states` : null;
      for (const inboxId of order.slice(0, together)) {
        const application = { inboxId, withTeam: <Did>(work: Work<Did>) => withTeam(teamId, work) };
        try {
          const applied = await applyInboxEvent(application);
          if (applied === 'ask Polar') aside.push(inboxId);
          else {
            over.push(inboxId);
            lastDid = applied.did;
          }
        } catch (error) {
          if (isTransientError(error) || isConnectionError(error)) {
            if (over.length === 0 && aside.length === 0) throw error;
            break;
          }
          if (isDataError(error)) {
            await parkStuck(teamId, inboxId, error);
            over.push(inboxId);
          } else aside.push(inboxId);
        }
      }
      return { over, aside, overview: await describeTeam(database.fork(), teamId, lastDid) };
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
    dismissParkedEvent: (teamId: string, inboxId: string, operator: Operator): Promise<void> =>
      throwAsFailure(() =>
        database.transaction(async (em) => {
          await dismissEventOfTeam(em, inboxId, teamId, deciderOf(operator));
        }),
      ),

    /** An operator assigns a parked event to the team, or one of the team's to a product. */
    assignParkedEvent: (
      teamId: string,
      inboxId: string,
      product: string | null,
      operator: Operator,
    ): Promise<void> =>
      throwAsFailure(() =>
        database.transaction(async (em) => {
          await assignEvent(em, inboxId, { teamId, product }, deciderOf(operator));
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

  /** What can never succeed, however often it is tried, is parked at once. */
  async function parkStuck(teamId: string, inboxId: string, error: unknown): Promise<void> {
    const failure = error instanceof Error ? error.message : String(error);
    await withTeam(teamId, (em) => parkInboxEvent(em, inboxId, 'stuck', failure));
  }

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

function deciderOf({ by, reason }: Operator): Decider {
  return { by, actor: `operator:${by}`, reason };
}
