import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createTestDatabase } from '../setup/database.ts';

const root = join(import.meta.dirname, '../..');
let databaseUrl: string;
let drop: () => Promise<void>;

beforeAll(async () => {
  ({ url: databaseUrl, drop } = await createTestDatabase());
});
afterAll(() => drop());

test.each([
  ['api/main.ts', 'DATABASE_URL'],
  ['worker/main.ts', 'DATABASE_URL'],
  ['worker/check-health.ts', 'TEMPORAL_ADDRESS'],
  ['database/migrate-command.ts', 'DATABASE_URL'],
  ['catalog/publish-command.ts', 'DATABASE_URL'],
  ['polar/sync-command.ts', 'DATABASE_URL'],
  ['ledger/verify/verify-command.ts', 'DATABASE_URL'],
  ['teams/service-keys-command.ts list', 'DATABASE_URL'],
])('%s names what is wrong in its environment, a line each, and ends', async (program, variable) => {
  const { code, said } = await run(program, { [variable]: 'foo', LOG_LEVEL: 'loud' });
  expect(code).toBe(program.startsWith('ledger') ? 2 : 1);
  expect(said).toEqual([
    expect.stringContaining(`${variable} is wrong: expected `),
    expect.stringContaining('LOG_LEVEL is wrong: expected one of '),
  ]);
});

test('a Postgres that cannot be reached is reported in one line', async () => {
  const { code, said } = await run('teams/service-keys-command.ts list', {
    DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nothing',
  });
  expect({ code, said }).toEqual({ code: 1, said: [expect.stringContaining('(DATABASE_URL)')] });
});

test('a service key that does not exist cannot be revoked, which is reported in one line', async () => {
  const id = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';
  const { code, said } = await run(`teams/service-keys-command.ts revoke --id ${id}`, {});
  expect({ code, said }).toEqual({ code: 1, said: [`There is no valid service key ${id}`] });
});

test('the seed of the demo is refused in production', async () => {
  const { code, said } = await run('dev/demo.ts --seed', { NODE_ENV: 'production' });
  expect({ code, said }).toEqual({ code: 1, said: [expect.stringContaining('refused in production')] });
});

/** Runs a program to its end. Returns its exit code, and its lines on stderr. */
async function run(program: string, variables: Record<string, string>) {
  const complete = {
    PATH: process.env.PATH,
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    POLAR_ACCESS_TOKEN: 'polar_oat_tests',
    POLAR_WEBHOOK_SECRET: 'whsec_dGVzdHM=',
    AUTH_JWT_SECRET: 'a-secret-of-the-tests-only-0123456789',
  };
  const { code, stderr } = await promisify(execFile)(process.execPath, program.split(' '), {
    cwd: root,
    env: { ...complete, ...variables },
  }).then(
    ({ stderr }) => ({ code: 0, stderr }),
    (error: { code: number; stderr: string }) => error,
  );
  return { code, said: stderr.trim().split('\n') };
}
