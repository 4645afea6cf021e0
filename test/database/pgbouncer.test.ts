import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { checkSession } from '../../database/session-settings.ts';
import { freePort } from '../../dev/free-port.ts';
import { type Part, startPart } from '../../dev/part.ts';
import { withClient } from '../../dev/postgres.ts';
import { startApi } from '../api/running-api.ts';

const version = spawnSync('pgbouncer', ['--version'], { encoding: 'utf8' }).stdout?.match(/(\d+)\.(\d+)/);
if (!version)
  console.log('PgBouncer is not installed: its tests are skipped (Debian: apt-get install pgbouncer)');
/** Since 1.21 it supports named statements on several server connections. */
const followsStatements =
  version !== null && version !== undefined && Number(`${version[1]}${version[2]}`) >= 121;
const modes = [...(version ? ['session'] : []), ...(followsStatements ? ['transaction'] : [])];
if (version && !followsStatements)
  console.log(`PgBouncer ${version[0]} cannot do pool_mode = transaction with named statements: not tried`);

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** Starts PgBouncer for a database. @returns the URL of the database through PgBouncer */
async function startPgBouncer(databaseUrl: string, mode: string): Promise<string> {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const directory = await mkdtemp(join(tmpdir(), 'waveloom-pgbouncer-'));
  cleanUp.push(() => rm(directory, { recursive: true, force: true }));
  const own = await freePort();
  const through = new URL(databaseUrl);
  through.port = String(own);
  const config = join(directory, 'pgbouncer.ini');
  await writeFile(join(directory, 'users.txt'), `"${username}" "${decodeURIComponent(password)}"\n`);
  await writeFile(
    config,
    `[databases]
${pathname.slice(1)} = host=${hostname} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = plain
auth_file = ${join(directory, 'users.txt')}
pool_mode = ${mode}
ignore_startup_parameters = options
default_pool_size = 40
${followsStatements ? 'max_prepared_statements = 100' : ''}
`,
  );
  await chmod(directory, 0o755); // it refuses to run as root
  const part: Part = await startPart({
    name: 'PgBouncer',
    command: 'pgbouncer',
    args: [...(process.getuid?.() === 0 ? ['-u', 'nobody'] : []), config],
    env: { PATH: process.env.PATH ?? '' },
    logFile: join(directory, 'pgbouncer.log'),
    isReady: () =>
      withClient(through.href, (client) => client.query('select 1')).then(
        () => true,
        () => false,
      ),
  });
  cleanUp.push(() => part.stop());
  return through.href;
}

/** The SQL of the deployment guide, for the role of the tests. */
async function followTheGuide(databaseUrl: string): Promise<void> {
  const guide = readFileSync(join(import.meta.dirname, '../../docs/deployment.md'), 'utf8');
  const { username, pathname } = new URL(databaseUrl);
  const statements = [...guide.matchAll(/alter role billing in database billing (set .*);/g)];
  expect(statements.length).toBeGreaterThan(0);
  await withClient(databaseUrl, async (client) => {
    for (const [, set] of statements) {
      await client.query(`alter role ${username} in database ${pathname.slice(1)} ${set}`);
    }
    // As RECONNECT in PgBouncer's console.
    await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = current_user and pid <> pg_backend_pid()',
    );
  });
}

(version ? test : test.skip).each(version ? modes : ['session'])(
  'behind PgBouncer with pool_mode = %s the API works once the role has the settings, and names them before',
  async (mode) => {
    const api = await startApi({
      wayToDatabase: async (direct) => {
        const pooled = await startPgBouncer(direct, mode);
        await expect(withClient(pooled, checkSession)).rejects.toMatchObject({
          code: 'database_misconfigured',
          message: expect.stringContaining('lock_timeout must be'),
        });
        await followTheGuide(direct);
        return pooled;
      },
    });
    cleanUp.push(() => api.stop());
    const teams = await Promise.all([1, 2, 3].map(async () => (await api.person()).teamId));
    for (const teamId of teams) await api.give(teamId, '1000');

    const usage = { action: 'workflow.run', quantities: { runs: 1 } };
    const replies = await Promise.all(
      teams.flatMap((teamId) =>
        Array.from({ length: 50 }, () => api.send('POST', `/v1/teams/${teamId}/usage`, { body: usage })),
      ),
    );
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([201]));
    for (const teamId of teams) {
      const { json } = await api.send('GET', `/v1/teams/${teamId}/balance`);
      expect(json).toMatchObject({ available: '975' });
    }
  },
  60_000,
);
