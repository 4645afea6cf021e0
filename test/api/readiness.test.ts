import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { grantToApplication } from '../../database/application-role.ts';
import { withClient } from '../../dev/postgres.ts';
import { type RunningApi, startApi } from './running-api.ts';

const usage = { action: 'workflow.run', quantities: { runs: 1 } };
const role = `readiness_${crypto.randomUUID().slice(0, 8)}`;

let api: RunningApi;
let ownerUrl: string;
let teamId: string;
beforeAll(async () => {
  api = await startApi({ wayToDatabase: asOwnRole });
  ({ teamId } = await api.person());
  await api.give(teamId, '10');
});
afterAll(async () => {
  await api.stop();
  await withClient(serverUrl(), (client) => client.query(`drop role ${role}`));
});

test('readiness notices that reads get no connection, while spends still work', async () => {
  const spend = () => api.send('POST', `/v1/teams/${teamId}/usage`, { body: usage });
  const readiness = async () => (await api.sendRaw('GET', '/readyz')).json; // Temporal is down in this test
  expect(await spend()).toMatchObject({ status: 201 });

  // The open connections of the other pools stay. That of the reads ends, and they cannot open another one.
  const { rows } = await reads().query<{ pid: number }>('select pg_backend_pid() as pid');
  await limitConnections(1);
  await withClient(ownerUrl, (client) =>
    client.query('select pg_terminate_backend($1, 5000)', [rows[0]?.pid]),
  );
  expect(await readiness()).toMatchObject({ postgres: 'unreachable' });
  expect(await spend()).toMatchObject({ status: 201 });
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({ status: 503 });

  await limitConnections(-1);
  expect(await readiness()).toMatchObject({ postgres: 'ok' });
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({ status: 200 });
});

test('busy connections are not unusable: readiness does not wait behind the work of callers', async () => {
  const held = await Promise.all(Array.from({ length: reads().options.max }, () => reads().connect()));
  expect(await api.dependencies.database.lane('reads').isUsable()).toBe(true);
  expect(reads().waitingCount).toBe(0);
  for (const client of held) client.release();
});

const reads = () => api.dependencies.database.lane('reads').pool;

function serverUrl(): string {
  const { TEST_POSTGRES_URL } = process.env;
  if (!TEST_POSTGRES_URL) throw new Error('Run the tests through Jest: npm test');
  return TEST_POSTGRES_URL;
}

/** The same database as a role of this test alone, because a limit of connections is one of the role. */
async function asOwnRole(applicationUrl: string): Promise<string> {
  const url = new URL(applicationUrl);
  const owner = new URL(serverUrl());
  owner.pathname = url.pathname;
  ownerUrl = owner.href;
  url.username = role;
  const pool = new pg.Pool({ connectionString: ownerUrl, max: 1 });
  await grantToApplication(pool, url.href);
  await pool.end();
  return url.href;
}

async function limitConnections(limit: number): Promise<void> {
  await withClient(ownerUrl, (client) => client.query(`alter role ${role} connection limit ${limit}`));
}
