import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connectDatabase } from '../../database/connection.ts';
import { checkSession, sessionLimitsMs, sessionSettings } from '../../database/session-settings.ts';
import { withClient } from '../../dev/postgres.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';

/** Defaults of the database with which our SQL would read or write other values. */
const hostile: Record<keyof typeof sessionSettings, string> = {
  DateStyle: 'German',
  TimeZone: 'America/New_York',
  IntervalStyle: 'iso_8601',
  bytea_output: 'escape',
  extra_float_digits: '-5',
  client_encoding: 'LATIN1',
  standard_conforming_strings: 'off',
  transform_null_equals: 'on',
  array_nulls: 'off',
  search_path: 'pg_catalog',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  synchronous_commit: 'off',
  transaction_timeout: '1min',
  idle_session_timeout: '1min',
};

let testDatabase: TestDatabase;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  const name = new URL(testDatabase.url).pathname.slice(1);
  await withClient(process.env.TEST_POSTGRES_URL ?? '', async (client) => {
    for (const [setting, value] of Object.entries(hostile)) {
      await client.query(`alter database ${name} set ${setting} = '${value}'`);
    }
  });
});
afterAll(() => testDatabase.drop());

test('every connection has our settings, whatever the defaults of the database are', async () => {
  const database = await connectDatabase(testDatabase.url, { pool: 1, statementTimeoutMs: 4_000 });
  try {
    const { rows } = await database.pool.query<{ name: string; setting: string }>(
      'select name, setting from pg_settings where name = any($1)',
      [[...Object.keys(sessionSettings), ...Object.keys(sessionLimitsMs), 'statement_timeout']],
    );
    const limits = Object.entries(sessionLimitsMs).map(([name, value]) => [name, String(value)]);
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      ...sessionSettings,
      ...Object.fromEntries(limits),
      statement_timeout: '4000',
    });
  } finally {
    await database.close();
  }
});

test('a connection without our settings is refused, and each wrong setting is named', async () => {
  const refusal = await withClient(testDatabase.url, checkSession).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'database_misconfigured' });
  // `client_encoding` is set by the driver itself.
  for (const name of Object.keys(hostile).filter((name) => name !== 'client_encoding')) {
    expect(String(refusal)).toContain(`${name} must be`);
  }
  expect(String(refusal)).toContain('lock_timeout must be');
});

test('the deployment guide sets each setting on the role', () => {
  const guide = readFileSync(join(import.meta.dirname, '../../docs/deployment.md'), 'utf8');
  for (const [name, value] of Object.entries(sessionSettings)) {
    expect(guide).toContain(`set ${name} = '${value}';`);
  }
  for (const name of Object.keys(sessionLimitsMs)) expect(guide).toContain(`set ${name} = `);
});
