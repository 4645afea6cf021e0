import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { ApplicationFailure } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import type { Database } from '../database/connection.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Team } from '../database/entities/team.ts';
import { isConnectionError, isDataError, isTransientError } from '../database/errors.ts';
import { DomainError, hasCode, isRefusal } from '../domain-error.ts';
import type { ErrorCode } from '../errors.ts';
import { markHandled, needsApproval, parkInboxEvent, refreshParkedEvent } from '../inbox/inbox.ts';
import { reviewTeamAlerts } from '../ledger/lifecycle/review-team-alerts.ts';
import { dataOf } from '../polar/events.ts';
import { fetchCurrentObject } from '../polar/fetch-current-object.ts';
import { describeTeam, type TeamOverview } from './describe-team.ts';
import { throwAsFailure } from './throw-as-failure.ts';

/** The use of Polar in a step, only before its transaction. */
export interface Fetching {
  polar: Polar;
  database: Database;
  withTeam: WithTeam;
}

/** The step needs Polar's current state: it must be repeated with data from Polar. */
export type NeedsPolar = 'needs_polar';
export const needsPolar: NeedsPolar = 'needs_polar';

/** The team after a step. */
export type StepResult = TeamOverview | NeedsPolar;

/** The source of a step: only the stored row, in a local activity, or also Polar, in an ordinary one. */
export type From = 'inbox' | 'polar';

/** What a step reads of its inbox row. */
export type StoredEvent = Pick<
  InboxEvent,
  | 'id'
  | 'teamId'
  | 'source'
  | 'type'
  | 'payload'
  | 'occurredAt'
  | 'status'
  | 'parkedCode'
  | 'assignedProduct'
  | 'decisions'
>;

/**
 * A step that an inbox row causes: first it reads, then it makes its changes in one transaction under the team's lock.
 */
export interface EventStep<Facts> {
  /**
   * Reads rows that the event names, in one packet with the lock and the event. `read` and `carryOut` then find them
   * without waiting.
   */
  readWithLock?(em: EntityManager, inboxId: string, event: Promise<StoredEvent | null>): Promise<void>;
  /**
   * Reads the row, and Polar's current state if `fetching` is given: then outside of any transaction.
   * @throws DomainError `unreadable_event`; as `callPolar` and `readAnswer`
   */
  read(em: EntityManager, event: StoredEvent, fetching?: Fetching): Promise<Facts | NeedsPolar>;
  /**
   * @returns what was done, as a sentence
   * @throws DomainError (`isRefusal`): the event is parked with its code, and nothing else of the step is committed
   */
  carryOut(em: EntityManager, team: Team, facts: Facts, now: Date): Promise<string>;
  /** Stores what a later event needs of an event that is parked with `code`. */
  remember?(em: EntityManager, team: Team, facts: Facts, code: ErrorCode): Promise<void>;
}

/** One transaction under the team's lock. */
export type WithTeam = <Did>(
  work: (em: EntityManager, team: Team, now: Date, event: StoredEvent | null) => Promise<Did>,
  inboxId?: string,
) => Promise<Did>;

/**
 * If `inboxId` is given, one packet takes the lock, reads the event and runs `readWithLock`.
 *
 * @throws Error if there is no such team: no workflow is started for one
 */
export function lockedTeam(
  database: Database,
  teamId: string,
  readWithLock?: EventStep<unknown>['readWithLock'],
): WithTeam {
  return (work, inboxId) =>
    database.teamTransaction(
      teamId,
      async (em) => {
        if (inboxId === undefined) return null;
        const event = readEvent(em, inboxId);
        await Promise.all([event, readWithLock?.(em, inboxId, event)]);
        return event;
      },
      async (em, locked, event) => {
        if (!locked) throw new Error(`there is no team ${teamId}: no workflow is started for one`);
        const result = await work(em, locked.team, locked.now, event);
        await reviewTeamAlerts(em, teamId, locked.now);
        return result;
      },
    );
}

/** Without MikroORM, which would take longer to build the query and the entity than Postgres to answer it. */
async function readEvent(em: EntityManager, inboxId: string): Promise<StoredEvent | null> {
  const [row] = await em.execute<(Omit<StoredEvent, 'occurredAt'> & { occurredAt: Date | string })[]>(
    `select id, team_id as "teamId", source, type, payload, occurred_at as "occurredAt", status,
            parked_code as "parkedCode", assigned_product as "assignedProduct", decisions
       from inbox where id = ?`,
    [inboxId],
  );
  return row ? { ...row, occurredAt: new Date(row.occurredAt) } : null;
}

/**
 * The team of an event that is read before the team is locked.
 * @throws Error if the event has no team
 */
export async function teamOf(em: EntityManager, { id, teamId }: StoredEvent): Promise<Team> {
  if (teamId === null) throw new Error(`the inbox row ${id} has no team`);
  return em.findOneOrFail(Team, { id: teamId });
}

/**
 * A step that no single event causes, in one transaction under the team's lock.
 * @returns what was done, as a sentence; null if nothing was done
 */
export type TeamStep<Args extends unknown[] = []> = (
  em: EntityManager,
  team: Team,
  now: Date,
  ...args: Args
) => Promise<string | null>;

/** Makes an activity of a step that no single event causes. */
export function createTeamStep<Args extends unknown[]>(database: Database, step: TeamStep<Args>) {
  return async (teamId: string, ...args: Args): Promise<TeamOverview> => {
    const did = await lockedTeam(database, teamId)((em, team, now) => step(em, team, now, ...args));
    // After the commit, so that no caller waits for the lock meanwhile.
    return describeTeam(database, teamId, did);
  };
}

/**
 * Makes an activity of a step that an inbox row causes. It settles the row in the step's own transaction, so a retry
 * finds it done. An event that cannot be settled now is parked under a stable code, and the activity fails with it.
 */
export function createEventStep<Facts>(
  { database, polar }: { database: Database; polar: Polar },
  step: EventStep<Facts>,
) {
  return async (teamId: string, inboxId: string, from: From): Promise<StepResult> => {
    const withTeam = lockedTeam(database, teamId, step.readWithLock);
    const take = () => takeStep(step, inboxId, withTeam, from === 'polar' && { polar, database, withTeam });
    const result = await (from === 'polar' ? throwAsFailure(take) : failAtOnce(() => parkingBadData(take)));
    if (result === needsPolar) return needsPolar;
    // After the commit, so that no caller waits for the lock meanwhile.
    const team = await describeTeam(database, teamId, result.did);
    if ('parkedCode' in result) throw parkedFailure(result.parkedCode, result.did, team);
    return team;

    /** An event that Postgres can never store is parked at once. */
    async function parkingBadData(work: typeof take): Promise<Taken | NeedsPolar> {
      try {
        return await work();
      } catch (error) {
        if (!isDataError(error) || !(error instanceof Error)) throw error;
        const { message } = error;
        await withTeam((em) => parkInboxEvent(em, inboxId, 'stuck', message));
        return { parkedCode: 'stuck', did: message };
      }
    }
  };
}

/** The type of a step's failure at its own event: other events of the team may succeed. */
export type UnexpectedFailure = 'unexpected_failure';
const unexpectedFailure: UnexpectedFailure = 'unexpected_failure';

/**
 * A step from stored data fails at once for every reason except a database that is down. Its event then goes to the
 * aside lane and delays no other event.
 */
export async function failAtOnce<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApplicationFailure || isTransientError(error) || isConnectionError(error))
      throw error;
    throw ApplicationFailure.create({
      type: unexpectedFailure,
      message: error instanceof Error ? error.message : String(error),
      nonRetryable: true,
    });
  }
}

/**
 * The event is parked with `code`, and that is committed. The step fails for this business reason, and the workflow
 * continues.
 */
function parkedFailure(code: string, why: string, parked: TeamOverview): ApplicationFailure {
  return ApplicationFailure.create({
    type: code,
    message: why,
    nonRetryable: true,
    category: ApplicationFailureCategory.BENIGN,
    details: [{ parked }],
  });
}

/** What was done, as a sentence, or why the event is parked. */
type Taken = { did: string } | { parkedCode: string; did: string };

async function takeStep<Facts>(
  step: EventStep<Facts>,
  inboxId: string,
  withTeam: WithTeam,
  fetching: Fetching | false,
): Promise<Taken | NeedsPolar> {
  const fetched = fetching ? await fetchFacts(step, inboxId, fetching) : null;
  let facts: Facts | NeedsPolar | null = null;
  let wasParked = false;
  try {
    return await withTeam(async (em, team, now, event) => {
      // The database was restored to an earlier time.
      if (!event) return { did: 'Skipped an event that is missing in the inbox' };
      if (isSettled(event)) return { did: 'Skipped an event that is settled' };
      // An operator has assigned it to another team since it was signalled.
      if (event.teamId !== team.id) return { did: 'Skipped an event of another team' };
      if (event.parkedCode === needsApproval) return { did: 'An event waits for an operator’s approval' };
      wasParked = event.status === 'parked' && event.source === 'polar';
      if (fetched instanceof DomainError) throw fetched;
      facts = fetched === null ? await step.read(em, event) : fetched.facts;
      if (facts === needsPolar) return needsPolar;
      const did = await step.carryOut(em, team, facts, now);
      await markHandled(em, inboxId, did);
      return { did };
    }, inboxId);
  } catch (error) {
    // Nothing of the event was committed.
    if (!isRefusal(error)) throw error;
    // It was parked with an earlier state: the current state may settle it.
    if (!fetching && (wasParked || error.code === 'cycle_not_granted')) return needsPolar;
    const { code, message } = error;
    return withTeam(async (em, team, _now, event) => {
      if (event?.teamId !== team.id) return { did: 'Skipped an event of another team' };
      if (facts !== null && facts !== needsPolar) await step.remember?.(em, team, facts, code);
      await parkInboxEvent(em, inboxId, code, message);
      return { parkedCode: code, did: message };
    }, inboxId);
  }
}

/**
 * Reads the event with Polar's current state. Returns null instead if it is settled or waits for an approval, and the
 * error if it is unreadable.
 */
async function fetchFacts<Facts>(
  step: EventStep<Facts>,
  inboxId: string,
  fetching: Fetching,
): Promise<{ facts: Facts } | DomainError | null> {
  const em = fetching.database.fork();
  const stored = await readEvent(em, inboxId);
  if (!stored || isSettled(stored) || stored.parkedCode === needsApproval) return null;
  const isParked = stored.status === 'parked' && stored.source === 'polar';
  const event = isParked ? await refresh(fetching, em, stored) : stored;
  try {
    const facts = await step.read(em, event, fetching);
    if (facts === needsPolar) throw new Error(`Polar does not settle the event ${inboxId}`);
    return { facts };
  } catch (error) {
    // The event is parked, like one that is unreadable itself.
    if (hasCode(error, 'polar_unreadable'))
      return new DomainError('unreadable_event', error.message, error.details);
    if (isRefusal(error)) return error;
    throw error;
  }
}

/** Updates a parked event. If Polar does not answer, the event stays as it was stored. */
async function refresh({ polar }: Fetching, em: EntityManager, event: StoredEvent): Promise<StoredEvent> {
  try {
    const current = await fetchCurrentObject(polar, event.type, dataOf(event.payload));
    const isNews = current?.replaces && (await refreshParkedEvent(em, event.id, current.data));
    const refreshed = isNews ? await readEvent(em, event.id) : null;
    return refreshed ?? event;
  } catch (error) {
    if (error instanceof DomainError) return event;
    throw error;
  }
}

function isSettled({ status }: StoredEvent): boolean {
  return status !== 'received' && status !== 'parked';
}
