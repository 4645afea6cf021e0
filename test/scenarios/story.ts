import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { createPolar, type models, type Polar } from '@polar-sh/sdk/2026-10';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { WorkflowBundle } from '@temporalio/worker';
import type { Report } from '../../activities/reconciliation/record-reconciliation.ts';
import { createApp } from '../../api/app.ts';
import { createAuthenticate } from '../../api/authenticate.ts';
import { createMetrics } from '../../api/metrics.ts';
import { defaultRates } from '../../api/rate-limits.ts';
import { createTeamEvents } from '../../api/team-events.ts';
import { createTemporalLink } from '../../api/temporal-link.ts';
import { loadCatalog } from '../../catalog/load-catalog.ts';
import type { Catalog } from '../../catalog/schema.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { freePort } from '../../dev/free-port.ts';
import type { Environment } from '../../environment.ts';
import { nextDripAt } from '../../ledger/lifecycle/grant-due-drips.ts';
import { createCreditOperations } from '../../ledger/spend/credit-operations.ts';
import { createInvoiceCache } from '../../polar/cached-invoices.ts';
import { syncProducts } from '../../polar/sync-products.ts';
import { ensureWebhookEndpoint } from '../../polar/webhook-endpoint.ts';
import { type PolarEmulator, startPolarEmulator } from '../../polar-emulator/polar-emulator.ts';
import { signWebhook } from '../../polar-emulator/webhook-delivery.ts';
import { announceTeam } from '../../teams/sign-up.ts';
import { installRuntime } from '../../worker/install-runtime.ts';
import { bundleWorkflows, type RunningWorker, startWorker } from '../../worker/start-worker.ts';
import { taskQueue } from '../../workflows/messages.ts';
import type { ReconcileInput } from '../../workflows/reconcile.ts';
import { reconcileType } from '../../workflows/schedules.ts';
import { createSend, type Method } from '../api/send.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { control } from '../setup/control.ts';
import { createTestDatabase } from '../setup/database.ts';
import { listen, stopServer } from '../setup/listen.ts';
import { logCopy } from '../setup/log-copy.ts';
import { startDevelopmentServer, temporalTestServer } from '../setup/temporal.ts';

/** The parts of billing as in production, except that all use one settable clock. Driven over HTTP. */
export interface Story {
  clock: SettableClock;
  database: Database;
  catalog: Catalog;
  emulator: PolarEmulator;
  polar: Polar;
  temporal: Client;
  apiUrl: string;
  /** Calls the API as a service with every scope. Throws if the status is not 2xx. */
  call<T = Record<string, unknown>>(method: Method, path: string, body?: object): Promise<T>;
  /** As `call`, also for errors. `key`: the idempotency key, default a new one. */
  request(method: Method, path: string, body?: object, key?: string): Promise<StoryAnswer>;
  /** Sends a webhook to our API as Polar does. `headers` replace the signature headers. */
  deliver(event: object, sent?: { id?: string; headers?: Record<string, string> }): Promise<StoryAnswer>;
  /** The secret that signs users' tokens. */
  jwtSecret: string;
  /** The secret that signs Polar's webhooks. */
  webhookSecret: string;
  /** The environment variables of a worker process for this story. */
  workerVariables: Record<string, string>;
  /** The URL with the owner's role: a test may change data that API and worker may not. */
  ownerUrl: string;
  /** Signs a user up and waits for the trial of the Personal Team. */
  signUp(id: string): Promise<string>;
  /** Signs a user up whose Personal Team has this id: for events that name a team before it exists. */
  signUpAs(teamId: string, userId: string): Promise<void>;
  /** Creates a shared team and waits for its trial. */
  foundTeam(ownerId: string, name: string): Promise<string>;
  /** Opens a checkout of a plan or pack. Returns its id. */
  checkOut(teamId: string, product: string): Promise<string>;
  /** Opens a checkout of a plan or pack, pays for it, and settles. */
  buy(teamId: string, product: string): Promise<void>;
  /** Spends credits: one credit pays for two workflow runs. */
  spend(teamId: string, credits: number): Promise<void>;
  /** The team's inbox, oldest first. */
  inbox(teamId: string): Promise<StoryEvent[]>;
  /** The team's orders at Polar, oldest first. */
  ordersOf(teamId: string): Promise<models.Order[]>;
  /** Polar's id of a plan's or pack's product. */
  productOf(key: string): Promise<string>;
  /** Calls an action of the emulator: POSTs to its control API. */
  control<T = Record<string, unknown>>(path: string, body?: object): Promise<T>;
  /** Changes a subscription's plan at Polar, as its portal does, and settles. */
  changePlan(subscriptionId: string, plan: string, proration?: string): Promise<void>;
  /** Polar loses the webhooks that it would send while `during` runs. */
  withoutWebhooks(during: () => Promise<unknown>): Promise<void>;
  /** Polar sends no webhook until `releaseWebhooks`, which sends all of them, newest first, and settles. */
  holdWebhooks(): Promise<void>;
  releaseWebhooks(): Promise<void>;
  /** Polar's id of the team's newest subscription. */
  subscriptionOf(teamId: string): Promise<string>;
  balance(teamId: string): Promise<StoryBalance>;
  /** Moves all clocks to `at`, and stops at each deadline on the way. */
  advanceTo(at: string): Promise<void>;
  /** Moves all clocks to `at` at once, without waiting: for stories in which something keeps failing. */
  skipTo(at: string): Promise<void>;
  /** Waits until every sent event is processed and nothing due is left. */
  settle(): Promise<void>;
  /** Starts a run of the reconciliation three minutes from now, when webhooks have had time to arrive. */
  startReconciliation(input?: Pick<ReconcileInput, 'everything'>): Promise<WorkflowHandle>;
  /** As `startReconciliation`, and waits until its repairs are applied. */
  reconcile(input?: Pick<ReconcileInput, 'everything'>): Promise<Report>;
  /** As `reconcile`, and skips the time for which the run waits for an approval or for Polar. Timers of teams fire meanwhile. */
  reconcileSkippingTime(): Promise<Report>;
  startWorker(): Promise<RunningWorker>;
  /** Deletes Temporal's data: an empty server replaces the running one. Postgres is kept. */
  loseTemporal(): Promise<void>;
  worker: RunningWorker;
  stop(): Promise<void>;
}

export interface StoryAnswer {
  status: number;
  body: Record<string, unknown>;
}

export interface StoryEvent {
  id: string;
  type: string;
  status: string;
  parkedCode: string | null;
  outcome: string | null;
}

export interface StoryBalance {
  available: string;
  held: string;
  debt: string;
  bySource: Record<string, string>;
  grants: {
    id: string;
    source: string;
    granted: string;
    available: string;
    expired: string;
    consumed: string;
    revoked: string;
    settled: string;
    expiresAt: string | null;
  }[];
  nextExpiry: { at: string; credits: string } | null;
}

type StorySmtp = NonNullable<Environment['email']['smtp']>;

const serviceKey = 'service-key-of-the-story-0123456789';
const jwtSecret = 'x'.repeat(32);
const accessToken = 'polar_oat_story';
const webhooks = { signingKeys: [Buffer.alloc(32, 7)], allowPrivate: ['127.0.0.1'] };

/**
 * Workflow time cannot go back, so stories begin after any day on which these tests are run.
 *
 * @param restarts  whether workers are stopped and replaced. The server that skips time never gives a workflow in one
 *   worker's cache to another worker, so then nothing is cached
 * @param shortHistories  uses Temporal's development server instead of the one that skips time. It suggests
 *   continue-as-new after this many events: for short stories
 * @param smtp  the server that gets e-mails. Default: no e-mail is sent
 */
export async function startStory(
  begins: string,
  {
    restarts = false,
    shortHistories,
    smtp,
  }: { restarts?: boolean; shortHistories?: number; smtp?: StorySmtp } = {},
): Promise<Story> {
  installRuntime();
  const testDatabase = await createTestDatabase();
  const clock = await settableClock(testDatabase.url, new Date(begins));
  const database = await connectDatabase(testDatabase.url);
  const catalog = loadCatalog(new URL('../../catalog/catalog.yaml', import.meta.url).pathname);
  await publishCatalog(database, catalog);

  const temporalPort = await freePort();
  let environment =
    shortHistories === undefined
      ? await startTemporal(temporalPort, clock.now())
      : await startDevelopmentServer({
          port: temporalPort,
          config: { 'limit.historyCount.suggestContinueAsNew': shortHistories },
        });

  const emulator = await startPolarEmulator({
    accessToken,
    loopbackWebhooks: true,
    clock: clock.now,
    retryScale: 0.001,
  });
  const polar = createPolar({ accessToken, baseUrl: emulator.url });
  await syncProducts(polar, database, { apply: true });

  const temporal = { address: environment.address, namespace: 'default' };
  const apiDatabase = await connectDatabase(testDatabase.applicationUrl);
  const creditOperations = createCreditOperations(apiDatabase);
  const link = createTemporalLink(temporal);
  const server = createServer();
  const apiUrl = await listen(server);
  const { secret } = await ensureWebhookEndpoint(polar, `${apiUrl}/v1/webhooks/polar`);
  const webhookSecret = secret ?? '';
  server.on(
    'request',
    createApp({
      database: apiDatabase,
      creditOperations,
      polar,
      invoices: createInvoiceCache(),
      temporal: link,
      authenticate: createAuthenticate({
        database: apiDatabase,
        auth: { jwtSecret },
        serviceApiKey: serviceKey,
      }),
      metrics: createMetrics(apiDatabase, smtp !== undefined),
      webhookSecrets: [webhookSecret],
      webhooks,
      rates: defaultRates,
      trustedProxies: [],
      email: { isOn: smtp !== undefined, tokenSecrets: [] },
      mailFolder: undefined,
      signInWithoutPassword: false,
      publicUrl: apiUrl,
      page: { directory: '/no-page', dashboardOrigin: undefined },
      teamEvents: createTeamEvents(apiDatabase),
      production: false,
    }),
  );

  workflowBundle ??= bundleWorkflows();
  const bundle = await workflowBundle;
  const startStoryWorker = () =>
    startWorker(
      {
        databaseUrl: testDatabase.applicationUrl,
        temporal,
        polar: { accessToken, server: emulator.url, webhookSecrets: [] },
        webhooks,
        email: { smtp, tokenSecrets: [] },
        publicUrl: apiUrl,
      },
      { workflowBundle: bundle, ...(restarts ? { maxCachedWorkflows: 0 } : {}) },
    );

  const send = createSend(apiUrl, serviceKey);
  const request: Story['request'] = async (method, path, body, key) => {
    const { status, json } = await send(method, path, { body, key });
    return { status, body: (status === 204 ? {} : json) as Record<string, unknown> };
  };

  const story: Story = {
    clock,
    database,
    catalog,
    emulator,
    polar,
    temporal: environment.client,
    apiUrl,
    worker: await startStoryWorker(),
    startWorker: startStoryWorker,
    jwtSecret,
    webhookSecret,
    ownerUrl: testDatabase.url,
    workerVariables: {
      PATH: process.env.PATH ?? '',
      ...logCopy,
      LOG_LEVEL: 'warn',
      DATABASE_URL: testDatabase.applicationUrl,
      TEMPORAL_ADDRESS: environment.address,
      POLAR_ACCESS_TOKEN: accessToken,
      POLAR_SERVER: emulator.url,
      POLAR_WEBHOOK_SECRET: webhookSecret,
      WEBHOOK_SIGNING_KEY: webhooks.signingKeys.map((key) => key.toString('base64')).join(),
      WEBHOOK_ALLOW_PRIVATE: webhooks.allowPrivate.join(','),
    },
    request,
    async deliver(event, { id = crypto.randomUUID(), headers } = {}) {
      const body = JSON.stringify(event);
      const response = await fetch(`${apiUrl}/v1/webhooks/polar`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(headers ?? signWebhook(webhookSecret, id, body)) },
        body,
      });
      const text = await response.text(); // empty for 204
      return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
    },
    async call<T>(method: Method, path: string, body?: object) {
      const answer = await request(method, path, body);
      if (answer.status >= 300)
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body as T;
    },
    async signUp(id) {
      const { team } = await story.call<{ team: { id: string } }>('POST', '/v1/users', {
        id,
        email: `${id}@example.com`,
        name: id,
      });
      await story.settle();
      return team.id;
    },
    async signUpAs(teamId, userId) {
      await database.transaction(async (em) => {
        await em.execute('insert into teams (id, name, personal) values (?, ?, true)', [teamId, userId]);
        await em.execute(
          `insert into users (id, email, name, personal_team_id) values (?, ? || '@example.com', 'late', ?)`,
          [userId, userId, teamId],
        );
        const member = [teamId, userId];
        await em.execute(`insert into members (team_id, user_id, role) values (?, ?, 'owner')`, member);
        const actor = { kind: 'service', keyId: 'test' } as const;
        await announceTeam(em, { teamId, makerId: userId, personal: true, trialsPerOwner: 1, actor });
      });
    },
    async foundTeam(ownerId, name) {
      const { id } = await story.call<{ id: string }>('POST', '/v1/teams', { name, ownerId });
      await story.settle();
      return id;
    },
    async checkOut(teamId, product) {
      return (await story.call<{ id: string }>('POST', `/v1/teams/${teamId}/checkout`, { product })).id;
    },
    async buy(teamId, product) {
      await story.control(`/checkouts/${await story.checkOut(teamId, product)}/pay`);
      await story.settle();
    },
    async spend(teamId, credits) {
      const usage = { action: 'workflow.run', quantities: { runs: 2 * credits } };
      await story.call('POST', `/v1/teams/${teamId}/usage`, usage);
    },
    async inbox(teamId) {
      const { data } = await story.call<{ data: StoryEvent[] }>(
        'GET',
        `/v1/inbox?teamId=${teamId}&limit=100`,
      );
      return data.reverse();
    },
    async ordersOf(teamId) {
      const orders: models.Order[] = [];
      for await (const order of polar.orders.iterList({ external_customer_id: teamId })) orders.push(order);
      return orders.reverse();
    },
    async productOf(key) {
      for await (const product of polar.products.iterList({ is_archived: false }))
        if (product.metadata.catalog_key === key) return product.id;
      throw new Error(`Polar has no product ${key}`);
    },
    control: (path, body) => control(emulator.url, path, body),
    async changePlan(subscriptionId, plan, proration) {
      await story.control(`/subscriptions/${subscriptionId}/change-plan`, {
        product_id: await story.productOf(plan),
        ...(proration === undefined ? {} : { proration_behavior: proration }),
      });
      await story.settle();
    },
    async withoutWebhooks(during) {
      await story.control('/faults', { target: 'webhooks', mode: 'lost', times: 10_000 });
      await during();
      await story.control('/faults/clear');
    },
    async holdWebhooks() {
      await story.control('/faults', { target: 'webhooks', mode: 'hold', times: 10_000 });
    },
    async releaseWebhooks() {
      await story.control('/faults/clear');
      await story.control('/webhooks/release');
      await story.settle();
    },
    async subscriptionOf(teamId) {
      const { rows } = await database.pool.query<{ id: string }>(
        'select id from subscriptions where team_id = $1 order by started_at desc limit 1',
        [teamId],
      );
      if (!rows[0]) throw new Error(`team ${teamId} has no subscription`);
      return rows[0].id;
    },
    balance: (teamId) => story.call<StoryBalance>('GET', `/v1/teams/${teamId}/balance`),
    async advanceTo(at) {
      const end = new Date(at);
      while (clock.now() < end) {
        const next = await nextDue(database, clock.now());
        await clock.set(next && next < end ? next : end);
        await emulator.renewDue();
        await skipTo(environment, clock.now());
        await story.settle();
      }
    },
    async skipTo(at) {
      await clock.set(new Date(at));
      await skipTo(environment, clock.now());
    },
    async settle() {
      for (let quiet = 0, waited = 0; quiet < 2; waited += 1) {
        if (waited > 2_000)
          throw new Error(`nothing settles: ${JSON.stringify(await undone(database, clock.now()))}`);
        await emulator.idle();
        quiet = (await undone(database, clock.now())).length === 0 ? quiet + 1 : 0;
        if (quiet < 2) await setTimeout(10);
      }
    },
    async startReconciliation(input = {}) {
      await clock.set(new Date(clock.now().getTime() + 3 * 60_000));
      return story.temporal.workflow.start(reconcileType, {
        taskQueue,
        workflowId: crypto.randomUUID(),
        args: [input],
      });
    },
    async reconcile(input) {
      const { workflowId } = await story.startReconciliation(input);
      // The story's own client would skip time until the run has ended, and timers of teams would fire before the story's clock
      // says so. The server that skips time refuses to cancel a timer that fired during its workflow's task, and then the
      // workflow never continues (temporalio/sdk-java, issue 3088).
      const { workflow } = new Client({ connection: environment.connection });
      const report: Report = await workflow.getHandle(workflowId).result();
      await story.settle();
      return report;
    },
    async reconcileSkippingTime() {
      const report: Report = await (await story.startReconciliation()).result();
      await story.settle();
      return report;
    },
    async loseTemporal() {
      await story.worker.stop();
      await environment.teardown();
      environment = await startTemporal(temporalPort, clock.now());
      story.temporal = environment.client;
      story.worker = await startStoryWorker();
    },
    async stop() {
      await story.worker.stop();
      await emulator.stop();
      await stopServer(server);
      await creditOperations.close();
      await link.close();
      await apiDatabase.close();
      await database.close();
      await environment.teardown();
      await testDatabase.drop();
    },
  };
  return story;
}

/** Waits until `look` finds something: for events outside the story's clock. */
export async function until<T>(
  look: () => Promise<T | null | undefined | false>,
  patience = 20_000,
): Promise<T> {
  for (const started = performance.now(); performance.now() - started < patience; await setTimeout(20)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`waited ${patience} ms in vain: ${look}`);
}

let workflowBundle: Promise<WorkflowBundle> | undefined;

async function startTemporal(port: number, now: Date): Promise<TestWorkflowEnvironment> {
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: temporalTestServer() }, port },
  });
  await environment.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    searchAttributes: { Plan: 2, SubscriptionStatus: 2, NextCreditExpiry: 6, ParkedEvents: 3 },
  });
  await skipTo(environment, now);
  return environment;
}

async function skipTo(environment: TestWorkflowEnvironment, at: Date): Promise<void> {
  const ahead = at.getTime() - (await environment.currentTimeMs());
  if (ahead > 0) await environment.sleep(ahead);
}

/**
 * The next instant at which credits expire or arrive or Polar renews, so that the story visits each of them as in
 * production.
 */
async function nextDue(database: Database, now: Date): Promise<Date | null> {
  const { rows } = await database.pool.query<{ at: string | null }>(
    `select to_json(min(at)) #>> '{}' as at
       from (select expires_at from grants where open
             union all select current_period_end from subscriptions where ended_at is null) as due (at)
      where at > $1`,
    [now],
  );
  const times = [rows[0]?.at, await nextDrip(database)].flatMap((at) => (at ? [new Date(at)] : []));
  return times.filter((at) => at > now).sort((a, b) => a.getTime() - b.getTime())[0] ?? null;
}

async function nextDrip(database: Database): Promise<Date | null> {
  const { rows } = await database.pool.query<{ id: string }>(
    'select distinct team_id as id from orders where drips_monthly',
  );
  const drips = await Promise.all(rows.map(({ id }) => nextDripAt(database.fork(), id)));
  return drips.filter((at) => at !== null).sort((a, b) => a.getTime() - b.getTime())[0] ?? null;
}

/** Everything that should have happened by now and has not. */
async function undone(database: Database, now: Date): Promise<unknown[]> {
  const { rows } = await database.pool.query<Record<string, unknown>>(
    `select 'inbox' as what, type from inbox where status = 'received'
     union all
     select 'expiry', business_key from grants where available > 0 and expires_at <= billing_now()`,
  );
  const drip = await nextDrip(database);
  return drip && drip <= now ? [...rows, { what: 'drip', at: drip }] : rows;
}
