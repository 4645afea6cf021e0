import { afterAll, beforeAll } from '@jest/globals';
import type { Database } from '../../database/connection.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

/**
 * A database for all tests of a file, and the owner's connections to it. The fields of both exist from the file's own
 * `beforeAll` on.
 */
export function useTestDatabase(options: { pool: number }): {
  testDatabase: TestDatabase;
  database: Database;
} {
  const testDatabase = {} as TestDatabase;
  const database = {} as Database;
  beforeAll(async () => {
    Object.assign(testDatabase, await createTestDatabase());
    Object.assign(database, await testDatabase.connect(options));
  });
  afterAll(() => testDatabase.drop());
  return { testDatabase, database };
}
