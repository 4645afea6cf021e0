import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { createPolar, type Polar } from '@polar-sh/sdk/2026-10';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { freePort } from '../../dev/free-port.ts';
import { type Link, openLink } from '../../dev/link.ts';
import { type Part, runTask, startPart } from '../../dev/part.ts';
import { startPostgres, withClient } from '../../dev/postgres.ts';
import { withDescendants } from '../../dev/process-command.ts';
import { startTemporalServer, type TemporalServer } from '../../dev/temporal-server.ts';
import { ensureWebhookEndpoint } from '../../polar/webhook-endpoint.ts';
import { type PolarEmulator, startPolarEmulator } from '../../polar-emulator/polar-emulator.ts';
import { createSend, type Method } from '../api/send.ts';
import { control } from '../setup/control.ts';
import { untilWaitingForLock } from '../setup/lock-waits.ts';
import { logCopy } from '../setup/log-copy.ts';
import { temporalCli } from '../setup/temporal.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

const root = resolve(import.meta.dirname, '../..');
const serviceKey = 'service-key-of-the-outages-0123456789';

/** The worker as a separate process, in a story. */
async function workerProcess(story: Story): Promise<Part> {
  const part = await startPart({
    name: 'worker',
    command: process.execPath,
    args: [join(root, 'test/scenarios/worker-process.ts')],
    env: story.workerVariables,
    saysReady: true,
  });
  cleanUp.push(() => part.stop());
  return part;
}

async function kill(part: Part): Promise<void> {
  process.kill(part.pid, 'SIGKILL');
  await part.exited;
}

test('a worker that is killed between a payment and its grant grants once when it is started again', async () => {
  const story = await startStory('2040-01-31T10:00:00Z', { restarts: true });
  cleanUp.push(() => story.stop());
  const team = await story.signUp('ada');
  const checkout = await story.checkOut(team, 'pack_1000');
  await story.settle(); // Polar also sends the new customer's member
  await story.worker.stop();
  const doomed = await workerProcess(story);

  // The worker that applies the payment waits for the team's lock, and is killed there.
  await withClient(story.ownerUrl, async (lock) => {
    await lock.query('begin');
    await lock.query('select 1 from teams where id = $1 for no key update', [team]);
    await story.control(`/checkouts/${checkout}/pay`);
    await untilWaitingForLock(story.database.pool);
    await kill(doomed);
    await lock.query('rollback');
  });
  expect(await story.balance(team)).toMatchObject({ available: '500' });

  await workerProcess(story);
  await until(async () => (await story.balance(team)).available === '1500', 40_000);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({ available: '1500', bySource: { purchase: '1000' } });
  await expectSoundLedger(story.database.pool);
}, 180_000);

/** Billing as processes, with a Postgres and a Temporal server that can be stopped. Real time. */
interface Platform {
  temporal: { address: string; stop(): Promise<void>; start(): Promise<void> };
  postgres: { stop(): Promise<void>; kill(): Promise<void>; start(): Promise<void> };
  /** Between our processes and Postgres. */
  link: Link;
  /** Asks worker and APIs to stop, as compose does, with its time limits. @returns how each ended */
  stopOurs(): Promise<string[]>;
  polar: Polar;
  emulator: PolarEmulator;
  databaseUrl: string;
  apiUrls: string[];
  call(method: Method, path: string, body?: object, more?: { key?: string; api?: number }): Promise<Answer>;
  available(team: string): Promise<unknown>;
}
interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function startPlatform({ apis = 1 } = {}): Promise<Platform> {
  const directory = await mkdtemp(join(tmpdir(), 'waveloom-outages-'));
  cleanUp.push(() => rm(directory, { recursive: true, force: true }));
  const postgresPort = await freePort();
  await chmod(directory, 0o711); // Postgres may have to run as another user
  const postgresOptions = {
    dataDir: join(directory, 'postgres'),
    logFile: join(directory, 'postgres.log'),
    password: 'outages',
    port: postgresPort,
    durable: false,
  };
  let postgres = await startPostgres(postgresOptions);
  cleanUp.push(() => postgres.part.stop());
  await postgres.createDatabase('billing');

  const temporalOptions = {
    executable: temporalCli(),
    logFile: join(directory, 'temporal.log'),
    databaseFile: join(directory, 'temporal.db'),
    port: await freePort(),
  };
  let temporal: TemporalServer | undefined = await startTemporalServer(temporalOptions);
  cleanUp.push(async () => temporal?.part.stop());

  const ports = await Promise.all(Array.from({ length: apis }, () => freePort()));
  const apiUrls = ports.map((port) => `http://127.0.0.1:${port}`);
  const emulator = await startPolarEmulator({
    accessToken: 'polar_oat_outages',
    loopbackWebhooks: true,
    retryScale: 0.01,
  });
  cleanUp.push(() => emulator.stop());
  const polar = createPolar({ accessToken: 'polar_oat_outages', baseUrl: emulator.url });
  const { secret } = await ensureWebhookEndpoint(polar, `${apiUrls[0]}/v1/webhooks/polar`);

  const databaseUrl = postgres.url('billing');
  const link = await openLink(postgresPort);
  cleanUp.push(() => link.close());
  const linked = new URL(databaseUrl);
  linked.port = String(link.port);
  const env = {
    PATH: process.env.PATH ?? '',
    ...logCopy,
    LOG_LEVEL: 'error',
    DATA_DIR: directory,
    DATABASE_URL: linked.href,
    TEMPORAL_ADDRESS: temporal.address,
    POLAR_ACCESS_TOKEN: 'polar_oat_outages',
    POLAR_SERVER: emulator.url,
    POLAR_WEBHOOK_SECRET: secret ?? '',
    AUTH_JWT_SECRET: 'a-secret-of-the-outages-0123456789',
    SERVICE_API_KEY: serviceKey,
  };
  const script = (file: string, ...args: string[]) => ({
    name: file,
    command: process.execPath,
    args: [join(root, file), ...args],
    env,
    logFile: join(directory, `${file.replaceAll('/', '-')}.log`),
  });
  for (const [file = '', ...args] of [
    ['database/migrate-command.ts'],
    ['catalog/publish-command.ts'],
    ['polar/sync-command.ts', '--apply'],
  ])
    await runTask(script(file, ...args));
  const worker = await startPart({
    ...script('worker/main.ts'),
    env: { ...env, WORKER_OPERATIONS_PORT: String(await freePort()) },
    saysReady: true,
  });
  cleanUp.push(() => worker.stop());
  const running: Part[] = [];
  let stopped = false;
  for (const [index, port] of ports.entries()) {
    const api = await startPart({
      ...script('api/main.ts'),
      env: { ...env, PORT: String(port), OPERATIONS_PORT: String(await freePort()) },
      isReady: async () => (await fetch(`${apiUrls[index]}/healthz`).catch(() => null))?.ok ?? false,
    });
    running.push(api);
    cleanUp.push(async () => {
      expect(api.running()).toBe(!stopped); // it ran all the time
      await api.stop();
    });
  }

  const call: Platform['call'] = async (method, path, body, { key, api = 0 } = {}) => {
    const send = createSend(apiUrls[api] ?? '', serviceKey);
    const { status, json } = await send(method, path, { body, key });
    return { status, body: json as Record<string, unknown> };
  };
  return {
    temporal: {
      address: temporal.address,
      async stop() {
        await temporal?.part.stop();
        temporal = undefined;
      },
      async start() {
        temporal = await startTemporalServer(temporalOptions);
      },
    },
    postgres: {
      stop: () => postgres.part.stop(),
      async kill() {
        for (const pid of withDescendants(postgres.part.pid)) process.kill(pid, 'SIGKILL');
        await postgres.part.exited;
      },
      async start() {
        postgres = await startPostgres(postgresOptions);
      },
    },
    link,
    async stopOurs() {
      stopped = true;
      await Promise.all([worker.stop(30_000), ...running.map((api) => api.stop(15_000))]);
      return Promise.all([worker, ...running].map(({ exited }) => exited));
    },
    polar,
    emulator,
    databaseUrl,
    apiUrls,
    call,
    available: async (team) => (await call('GET', `/v1/teams/${team}/balance`)).body.available,
  };
}

/** When a server that was just started accepts a workflow without a worker, in `performance.now()`. */
async function firstWorkflow(address: string): Promise<number> {
  const connection = Connection.lazy({ address });
  await until(() =>
    new Client({ connection }).workflow
      .start('nothing', { taskQueue: 'nobody', workflowId: crypto.randomUUID() })
      .catch(() => null),
  );
  const at = performance.now();
  await connection.close();
  return at;
}

async function signUp(platform: Platform, id: string, expected = 201): Promise<string> {
  const { status, body } = await platform.call('POST', '/v1/users', {
    id,
    email: `${id}@example.com`,
    name: id,
  });
  expect(status).toBe(expected);
  return (body.team as { id: string }).id;
}

async function sound(platform: Platform): Promise<void> {
  const pool = new pg.Pool({ connectionString: platform.databaseUrl, max: 1 });
  pool.on('connect', (client) => client.on('error', () => {})); // its Postgres may stop before it
  await expectSoundLedger(pool).finally(() => pool.end());
}

test('with Temporal stopped users sign up, and get their trial as soon as it is back', async () => {
  const platform = await startPlatform();
  const before = await signUp(platform, 'before');
  await until(async () => (await platform.available(before)) === '500');

  await platform.temporal.stop();
  const started = performance.now();
  const teams: string[] = [];
  for (let i = 0; i < 20; i++) teams.push(await signUp(platform, `during_${i}`));
  const each = (performance.now() - started) / teams.length;
  await setTimeout(5_000); // long enough for long retry pauses
  for (const team of teams) expect(await platform.available(team)).toBe('0');

  const restarted = performance.now();
  await platform.temporal.start();
  const up = performance.now();
  const bare = firstWorkflow(platform.temporal.address).then((at) => at - up);
  await until(
    async () => (await Promise.all(teams.map(platform.available))).every((one) => one === '500'),
    60_000,
  );
  const trials = performance.now() - up;
  console.log(
    `sign-up with Temporal down: ${each.toFixed(0)} ms each. Temporal listened again after ${(up - restarted).toFixed(0)} ms; ` +
      `then it took its first bare workflow after ${(await bare).toFixed(0)} ms, and all ${teams.length} trials were there after ${trials.toFixed(0)} ms`,
  );
  await sound(platform);
}, 120_000);

test('a webhook that arrives before its team’s workflow was signalled is handled like any other', async () => {
  const platform = await startPlatform();
  await platform.temporal.stop();
  const team = await signUp(platform, 'early');
  const { body } = await platform.call('POST', `/v1/teams/${team}/checkout`, { product: 'pack_1000' });
  await control(platform.emulator.url, `/checkouts/${String(body.url).split('/').at(-1)}/pay`);
  await platform.emulator.idle();
  await withClient(platform.databaseUrl, (client) =>
    // The sign-up's own event is signalled last.
    client.query(`update inbox set next_signal_at = '9999-01-01' where type = 'team.created'`),
  );
  await setTimeout(2_500); // the API no longer signals it itself
  await platform.temporal.start();
  await until(async () => (await platform.available(team)) === '1500', 60_000);
  const { body: inbox } = await platform.call('GET', `/v1/inbox?teamId=${team}`);
  expect(inbox.data).toContainEqual(expect.objectContaining({ type: 'team.created', status: 'received' }));
  await withClient(platform.databaseUrl, (client) =>
    client.query(`update inbox set next_signal_at = now() where type = 'team.created'`),
  );
  await until(async () => {
    const { body } = await platform.call('GET', `/v1/inbox?teamId=${team}&status=received`);
    return (body.data as unknown[]).length === 0;
  }, 60_000);
  expect(await platform.available(team)).toBe('1500');
  await sound(platform);
}, 120_000);

test('Postgres is restarted under load and its connections are cut: every acknowledged spend exists once', async () => {
  const platform = await startPlatform({ apis: 2 });
  const teams = await Promise.all(
    Array.from({ length: 4 }, (_, index) => signUp(platform, `spender_${index}`)),
  );
  await until(async () => (await Promise.all(teams.map(platform.available))).every((one) => one === '500'));

  const usage = { action: 'workflow.run', quantities: { runs: 1 } };
  const acknowledged = new Map<string, string>();
  const statuses = new Map<number | string, number>();
  let requests = 0;
  let over = false;
  /** A caller who sends the same key again until it gets a final answer. */
  const caller = async (index: number) => {
    while (!over) {
      const key = crypto.randomUUID();
      for (let answered = false; !answered; ) {
        const team = teams[index % teams.length];
        const answer = await platform
          .call('POST', `/v1/teams/${team}/usage`, usage, { key, api: requests++ % 2 })
          .catch(() => null);
        const status = answer?.status ?? 'no answer';
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (answer?.status === 201) acknowledged.set(key, String(answer.body.id));
        answered = answer?.status === 201 || over;
        if (!answered) await setTimeout(50);
      }
    }
  };
  const callers = Array.from({ length: 16 }, (_, index) => caller(index));
  for (let cut = 0; cut < 10; cut++) {
    await setTimeout(200);
    await withClient(platform.databaseUrl, (client) =>
      client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'billing' and pid <> pg_backend_pid()`,
      ),
    );
  }
  await platform.postgres.stop();
  await setTimeout(500);
  await platform.postgres.start();
  await setTimeout(1_500);
  over = true;
  await Promise.all(callers);

  expect([...statuses.keys()].filter((status) => ![201, 402, 503, 'no answer'].includes(status))).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(20);
  const stored = await withClient(platform.databaseUrl, async (client) => {
    const { rows } = await client.query<{ key: string; id: string }>(
      'select key, usage_event_id as id from idempotency_keys where usage_event_id is not null',
    );
    return new Map(rows.map(({ key, id }) => [key, id]));
  });
  for (const [key, id] of acknowledged) expect({ key, id: stored.get(key) }).toEqual({ key, id });
  console.log(`statuses under cuts: ${JSON.stringify([...statuses])}`);
  await sound(platform);

  // The worker ran all the time as well.
  const after = await signUp(platform, 'after');
  await until(async () => (await platform.available(after)) === '500');
}, 120_000);

/** Whether the API says that it is ready. */
async function isReady({ apiUrls }: Platform): Promise<boolean> {
  return (await fetch(`${apiUrls[0]}/readyz`)).ok;
}

test('Postgres is killed and another starts at its address: API and worker go on by themselves', async () => {
  const platform = await startPlatform();
  const before = await signUp(platform, 'before');
  await until(async () => (await platform.available(before)) === '500');

  await platform.postgres.kill();
  expect(await isReady(platform)).toBe(false);
  const usage = { action: 'workflow.run', quantities: { runs: 1 } };
  expect((await platform.call('POST', `/v1/teams/${before}/usage`, usage)).status).toBe(503);
  await platform.postgres.start();

  await until(() => isReady(platform), 60_000);
  const after = await signUp(platform, 'after');
  await until(async () => (await platform.available(after)) === '500', 60_000);
  await sound(platform);
}, 180_000);

test('the network to Postgres goes silent: worker and API are ready again afterwards, and end when they are asked to meanwhile', async () => {
  const platform = await startPlatform();
  await signUp(platform, 'before');
  platform.link.silence();
  expect(await isReady(platform)).toBe(false);
  platform.link.heal();
  await until(() => isReady(platform), 60_000);
  // The connections of other lanes may be silent still: a caller who gets 503 sends the same again.
  const person = { id: 'between', email: 'between@example.com', name: 'between' };
  await until(async () => (await platform.call('POST', '/v1/users', person)).status < 300, 60_000);
  const team = await signUp(platform, 'between', 200);
  await until(async () => (await platform.available(team)) === '500', 90_000);

  platform.link.silence();
  const usage = { action: 'workflow.run', quantities: { runs: 1 } };
  void platform.call('POST', `/v1/teams/${team}/usage`, usage).catch(() => {}); // under way when it is asked to end
  const ends = await platform.stopOurs();
  expect(ends).toEqual(ends.map(() => expect.stringMatching(/^exit code/))); // nobody had to kill them
}, 240_000);
