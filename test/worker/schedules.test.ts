import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { createMaintenanceActivities } from '../../activities/create-maintenance-activities.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import { createMissingPartitions } from '../../database/partitions.ts';
import { freePort } from '../../dev/free-port.ts';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import { createTemporalClient } from '../../temporal-client.ts';
import { ensureSchedules } from '../../worker/ensure-schedules.ts';
import { installRuntime } from '../../worker/install-runtime.ts';
import { taskQueue } from '../../workflows/messages.ts';
import { maintenanceType, reconcileType, verifyLedgerType } from '../../workflows/schedules.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { defaultCatalog as catalog } from '../setup/default-catalog.ts';
import { startDevelopmentServer, temporalTestServer } from '../setup/temporal.ts';

const begins = new Date('2040-01-31T10:00:00.000Z');

let testDatabase: TestDatabase;
let clock: SettableClock;
let database: Database;
let temporal: TestWorkflowEnvironment;
let worker: Worker;
let running: Promise<void>;

beforeAll(async () => {
  installRuntime();
  testDatabase = await createTestDatabase();
  clock = await settableClock(testDatabase.url, begins);
  database = await testDatabase.connect({ pool: 4 });
  await publishCatalog(database, catalog);
  temporal = await startDevelopmentServer();
  worker = await Worker.create({
    connection: temporal.nativeConnection,
    taskQueue,
    workflowBundle: await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('../../workflows/maintenance.ts', import.meta.url)),
    }),
    activities: createMaintenanceActivities({
      database,
      createMissingPartitions,
      signingKeys: [],
    }),
  });
  running = worker.run();
});

afterAll(async () => {
  worker.shutdown();
  await running;
  await temporal.teardown();
  await testDatabase.drop();
});

test('the schedules are made once, brought up to date, and stay paused where an operator paused them', async () => {
  const { client } = temporal;
  const ours = createTemporalClient({ address: temporal.address, namespace: 'default' });
  await ensureSchedules(ours, new AbortController().signal);
  await client.schedule.getHandle('verify-ledger').pause('while we look');
  // Earlier releases had other intervals, and a schedule more.
  const maintenance = client.schedule.getHandle('maintenance');
  await maintenance.update((made) => ({ ...made, spec: { intervals: [{ every: '1 day' }] } }));
  await client.schedule.create({
    scheduleId: 'sweep-holds',
    spec: { intervals: [{ every: '1 minute' }] },
    action: { type: 'startWorkflow', workflowType: 'sweepHolds', taskQueue },
  });
  await Promise.all([1, 2].map(() => ensureSchedules(ours, new AbortController().signal)));
  await ours.close();

  const made = [
    ['maintenance', maintenanceType, false],
    ['verify-ledger', verifyLedgerType, true],
    ['reconcile', reconcileType, false],
    ['reconcile-everything', reconcileType, false],
  ] as const;
  for (const [id, type, paused] of made) {
    const { action, state } = await client.schedule.getHandle(id).describe();
    expect(action.workflowType).toBe(type);
    expect(state.paused).toBe(paused);
  }
  expect((await maintenance.describe()).spec.intervals).toMatchObject([{ every: 3_600_000 }]);
  const listed = (await Array.fromAsync(client.schedule.list())).map(({ scheduleId }) => scheduleId);
  expect(listed.sort()).toEqual(made.map(([id]) => id).sort());
  await client.schedule.getHandle('verify-ledger').unpause();
});

test('the schedules are made once the Temporal server is there', async () => {
  const port = await freePort();
  const connection = Connection.lazy({ address: `127.0.0.1:${port}` });
  const client = new Client({ connection });
  const ours = createTemporalClient({ address: `127.0.0.1:${port}`, namespace: 'default' });
  const ensured = ensureSchedules(ours, new AbortController().signal);
  const late = await startDevelopmentServer({ port });
  await ensured;
  expect((await client.schedule.getHandle('maintenance').describe()).scheduleId).toBe('maintenance');
  await connection.close();
  await ours.close();
  await late.teardown();
});

test('a worker that stops waits for no Temporal server, and one without schedules is none to wait for', async () => {
  const ours = createTemporalClient({ address: `127.0.0.1:${await freePort()}`, namespace: 'default' });
  const stop = new AbortController();
  const ensured = ensureSchedules(ours, stop.signal);
  stop.abort();
  await ensured;
  await ours.close();

  const skipping = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: temporalTestServer() } },
  });
  const theirs = createTemporalClient({ address: skipping.address, namespace: 'default' });
  await ensureSchedules(theirs, new AbortController().signal);
  await theirs.close();
  await skipping.teardown();
});

test('maintenance makes partitions ahead, deletes old keys only, and cuts old payloads to ids', async () => {
  const started = clock.now();
  const writeKey = (key: string) =>
    database.pool.query(
      `insert into idempotency_keys (scope, key, body_hash, status, response, created_at) values ('caller', $1, '', 201, '{}', billing_now())`,
      [key],
    );
  const receive = async (externalId: string, status: 'received' | 'ignored') =>
    storeInboxEvent(database.fork(), {
      teamId: null,
      source: 'polar',
      type: 'order.paid',
      externalId,
      status,
      payload: {
        type: 'order.paid',
        data: {
          id: 'o1',
          customer_id: 'c1',
          billing_name: 'Ada',
          tax_id: 'DE123',
          customer: { email: 'ada@example.com' },
          total: 5,
        },
      },
    });
  await writeKey('old');
  await receive('handled-long-ago', 'ignored');
  await database.pool.query(`update inbox set status = 'handled' where external_id = 'handled-long-ago'`);
  await receive('never-handled', 'received');

  await clock.set(new Date(started.getTime() + catalog.policies.idempotencyKeysKept));
  await writeKey('just-kept');
  await database.pool.query(`update idempotency_keys set created_at = $1 where key = 'just-kept'`, [started]);
  await database.pool.query(
    `update idempotency_keys set created_at = created_at - interval '1 millisecond' where key = 'old'`,
  );
  await receive('handled-now', 'ignored');
  await run(maintenanceType);

  const keys = await database.pool.query<{ key: string }>('select key from idempotency_keys');
  expect(keys.rows.map(({ key }) => key)).toEqual(['just-kept']);

  const inbox = await database.pool.query<{ external_id: string; payload: { cutAt?: string; data: object } }>(
    'select external_id, payload from inbox order by id',
  );
  const whole = expect.objectContaining({
    type: 'order.paid',
    data: expect.objectContaining({ total: 5 }),
  });
  expect(Object.fromEntries(inbox.rows.map(({ external_id, payload }) => [external_id, payload]))).toEqual({
    'handled-long-ago': { cutAt: expect.any(String), data: { id: 'o1', customer_id: 'c1' } },
    'never-handled': whole,
    'handled-now': whole,
  });

  const { rows } = await database.pool.query<{ ahead: string | null }>(
    `select to_regclass('transfers_' || to_char(billing_now() + interval '3 months', 'YYYY_MM')) as ahead`,
  );
  expect(rows[0]?.ahead).not.toBeNull();
});

test('a ledger that keeps its rules completes the run; one that does not fails it, and says where', async () => {
  expect(await run(verifyLedgerType)).toMatchObject({ found: 0, findings: [] });

  await database.pool.query(`insert into teams (id, name, personal) values (uuidv7(), 'planted', false)`);
  await database.pool.query(
    `insert into grants (id, team_id, source, business_key, granted, available, effective_at, catalog_version, created_at)
     select uuidv7(), id, 'trial', 'trial:' || id, 5, 5, billing_now(), 1, billing_now() from teams where name = 'planted'`,
  );
  const failure = await run(verifyLedgerType).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WorkflowFailedError);
  expect(failure).toMatchObject({
    cause: {
      type: 'ledger_rules_broken',
      message: expect.stringContaining('grant-equals-transfers'),
      details: [
        {
          found: 4,
          findings: expect.arrayContaining([expect.objectContaining({ rule: 'trial-is-claimed' })]),
        },
      ],
    },
  });
});

function run(workflowType: string): Promise<unknown> {
  return temporal.client.workflow.execute(workflowType, { taskQueue, workflowId: randomUUID(), args: [] });
}
