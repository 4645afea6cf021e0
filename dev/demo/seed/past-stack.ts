import { join } from 'node:path';
import { z } from 'zod';
import { createActivities } from '../../../activities/create-activities.ts';
import type { TeamOverview } from '../../../activities/describe-team.ts';
import { storeWebhook } from '../../../api/routes/polar-webhook.ts';
import { connectDatabase, type Database } from '../../../database/connection.ts';
import { readWaitingEvent } from '../../../inbox/waiting-event.ts';
import { closeMonths } from '../../../ledger/read/closed-months.ts';
import { type CreditOperations, createCreditOperations } from '../../../ledger/spend/credit-operations.ts';
import { teamAfterParking } from '../../../workflows/failures.ts';
import { stepOf } from '../../../workflows/steps.ts';
import { withClient } from '../../postgres.ts';
import { CannotGoOn, type Demo } from '../connect.ts';

/**
 * The running stack at a time in the past: the product's own functions on connections whose `billing_now()` is that time,
 * and the Polar emulator at the same time. Every other connection keeps the real time. For development only.
 */
export interface PastStack {
  database: Database;
  creditOperations: CreditOperations;
  now(): Date;
  /** Moves to a later time, and stops at each time at which credits expire or Polar renews a subscription. */
  advanceTo(at: Date): Promise<void>;
  /**
   * Does something that Polar reports, or that stores an event for the team's workflow, and takes the steps of the
   * workflow for these events.
   */
  act<T>(work: () => Promise<T>): Promise<T>;
  /** Settles `team.created` and grants the trial, if there is one. */
  beginTeam(teamId: string, inboxId: string | null): Promise<void>;
  /** Returns to the present. Months that were closed before are added up again. */
  close(): Promise<void>;
}

const eventsAnswer = z.object({
  events: z.array(z.looseObject({ type: z.string(), timestamp: z.coerce.date(), data: z.unknown() })),
});

/**
 * @param databaseUrl, ownerUrl  the application's role, and the owner of the schema, of the stack's own database
 * @throws CannotGoOn for any other database: nothing in it is changed
 */
export async function openPastStack(
  demo: Pick<Demo, 'dataDir' | 'polar' | 'press'>,
  { databaseUrl, ownerUrl, start }: { databaseUrl: string; ownerUrl: string; start: Date },
): Promise<PastStack> {
  let now = start;
  await withClient(ownerUrl, async (client) => {
    const { rows } = await client.query<{ folder: string }>(dataFolder);
    // Not of a database whose URLs somebody has set in the environment: it may be one of production.
    if (rows[0]?.folder !== join(demo.dataDir, 'postgres')) {
      throw new CannotGoOn(
        'The seed needs the Postgres of npm start: unset DATABASE_URL and DATABASE_OWNER_URL',
      );
    }
    await client.query(clockThatCanBeSet);
  });
  const connected = await connectDatabase(databaseUrl, { pool: 4, name: 'seed' });
  const database: Database = {
    ...connected,
    transaction: (work) =>
      connected.transaction(async (em) => {
        const result = await work(em);
        await em.execute(doNotSignal);
        return result;
      }),
  };
  // The first statement of each use of a connection.
  database.pool.on('acquire', (client) => {
    client.query(`set demo.now = '${now.toISOString()}'`).catch(() => {}); // the next statement fails as well
  });
  const activities = createActivities({ database, polar: demo.polar });
  const creditOperations = createCreditOperations(database);
  const overviews = new Map<string, TeamOverview>();

  return {
    database,
    creditOperations,
    now: () => now,
    async beginTeam(teamId, inboxId) {
      await activities.grantTrialCredits(teamId, inboxId === null ? [] : [inboxId]);
      overviews.set(teamId, await activities.expireCredits(teamId));
    },
    async act(work) {
      await setPolarTime(now);
      const result = await work();
      await handleEvents();
      return result;
    },
    async advanceTo(at) {
      for (;;) {
        const due = [await nextRenewal(), ...[...overviews.values()].map(({ nextDueAt }) => nextDueAt)]
          .filter((next) => next !== null)
          .map((next) => Math.max(Date.parse(next), now.getTime()));
        const next = Math.min(at.getTime(), ...due);
        now = new Date(next);
        await setPolarTime(now);
        if (!due.includes(next)) return;
        await demo.press('/renew-due', z.unknown());
        await handleEvents();
        for (const [teamId, { nextDueAt }] of overviews) {
          if (nextDueAt === null || Date.parse(nextDueAt) > next) continue;
          await activities.grantDrips(teamId);
          overviews.set(teamId, await activities.expireCredits(teamId));
        }
      }
    },
    async close() {
      await demo.press('/time', z.unknown(), { at: null });
      await creditOperations.close();
      await database.close();
      await withClient(ownerUrl, async (client) => {
        await client.query(realClock);
        await client.query('begin; delete from grant_months; delete from closed_months; commit');
      });
      const present = await connectDatabase(databaseUrl, { pool: 1, name: 'seed' });
      await closeMonths(present.pool);
      await present.close();
    },
  };

  /** When Polar renews next. Subscriptions of other teams renew in the future. */
  async function nextRenewal(): Promise<string | null> {
    const { rows } = await database.pool.query<{ at: string | null }>(
      `select to_json(min(current_period_end)) #>> '{}' as at from subscriptions
        where ended_at is null and team_id = any($1)`,
      [[...overviews.keys()]],
    );
    return rows[0]?.at ?? null;
  }

  async function setPolarTime(at: Date): Promise<z.output<typeof eventsAnswer>['events']> {
    return (await demo.press('/time', eventsAnswer, { at: at.toISOString() })).events;
  }

  /** Stores Polar's events as webhooks, and takes the step of each waiting event, as the team's workflow does. */
  async function handleEvents(): Promise<void> {
    for (const payload of await setPolarTime(now)) {
      const { type, timestamp } = payload;
      const webhook = { webhookId: crypto.randomUUID(), type, occurredAt: timestamp, payload };
      await database.transaction((em) => storeWebhook({ ...database, fork: () => em }, webhook));
      await takeSteps();
    }
    await takeSteps();
  }

  async function takeSteps(): Promise<void> {
    const { rows } = await database.pool.query<{ id: string; team_id: string }>(
      `select id, team_id from inbox where status = 'received' and team_id = any($1) order by id`,
      [[...overviews.keys()]],
    );
    for (const { id, team_id } of rows) overviews.set(team_id, await takeStep(team_id, id));
  }

  async function takeStep(teamId: string, inboxId: string): Promise<TeamOverview> {
    const event = await readWaitingEvent(database.fork(), inboxId);
    if (!event) throw new Error(`the inbox has no event ${inboxId}`);
    const step = stepOf(event);
    if (step === 'recordEvents') return activities.recordEvents(teamId, [inboxId]);
    try {
      const stored = await activities[step](teamId, inboxId, 'inbox');
      const team = stored === 'needs_polar' ? await activities[step](teamId, inboxId, 'polar') : stored;
      if (team === 'needs_polar') throw new Error(`Polar does not settle ${event.type}`);
      return team;
    } catch (error) {
      const parked = teamAfterParking(error);
      if (!parked) throw error;
      throw new CannotGoOn(`An event of the past could not be applied: ${event.type}, ${parked.lastDid}`);
    }
  }
}

/** The relay must not signal an event of the past: its workflow would apply it at the real time. */
const doNotSignal = `
update inbox set next_signal_at = clock_timestamp() + interval '1 hour'
 where received_at = billing_now() and next_signal_at is not null`;

/** No row for a role that may not know it. */
const dataFolder = `select setting as folder from pg_settings where name = 'data_directory'`;

/** `billing_now()` of the schema, and one that a connection can set. */
const realClock = `
create or replace function billing_now() returns timestamptz(3) language sql volatile parallel safe
  return clock_timestamp()::timestamptz(3)`;
const clockThatCanBeSet = `
create or replace function billing_now() returns timestamptz(3) language sql volatile parallel safe
  return coalesce(nullif(current_setting('demo.now', true), '')::timestamptz, clock_timestamp())::timestamptz(3)`;
