import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { withClient } from '../../dev/postgres.ts';

export type TestDatabase = {
  /** The URL with the owner's role, which may do everything. */
  url: string;
  /** The URL with the role of API and worker. */
  applicationUrl: string;
  /** A connection with the owner's role. `drop` closes it. */
  connect(options: { pool: number }): Promise<Database>;
  drop(): Promise<void>;
};

/** A migrated, empty database for one test file. Drop it in `afterAll`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { TEST_POSTGRES_URL, TEST_DATABASE_TEMPLATE, TEST_APPLICATION_URL } = process.env;
  if (!TEST_POSTGRES_URL || !TEST_DATABASE_TEMPLATE || !TEST_APPLICATION_URL)
    throw new Error('Run the tests through Jest: npm test');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const run = (sql: string) => withClient(TEST_POSTGRES_URL, (client) => client.query(sql));
  await run(`create database ${name} template ${pg.escapeIdentifier(TEST_DATABASE_TEMPLATE)}`);
  const within = (server: string) => {
    const url = new URL(server);
    url.pathname = `/${name}`;
    return url.href;
  };
  const url = within(TEST_POSTGRES_URL);
  const connections: Database[] = [];
  return {
    url,
    applicationUrl: within(TEST_APPLICATION_URL),
    async connect(options) {
      const database = await connectDatabase(url, options);
      connections.push(database);
      return database;
    },
    async drop() {
      for (const database of connections) await database.close();
      await run(`drop database if exists ${name} with (force)`);
    },
  };
}
