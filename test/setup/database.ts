import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { withClient } from '../../dev/postgres.ts';

export type TestDatabase = { url: string; drop(): Promise<void> };

/** A migrated, empty database for one test file. Drop it in `afterAll`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { TEST_POSTGRES_URL, TEST_DATABASE_TEMPLATE } = process.env;
  if (!TEST_POSTGRES_URL || !TEST_DATABASE_TEMPLATE) throw new Error('Run the tests through Jest: npm test');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const run = (sql: string) => withClient(TEST_POSTGRES_URL, (client) => client.query(sql));
  await run(`create database ${name} template ${pg.escapeIdentifier(TEST_DATABASE_TEMPLATE)}`);
  const url = new URL(TEST_POSTGRES_URL);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: async () => void (await run(`drop database if exists ${name} with (force)`)),
  };
}
