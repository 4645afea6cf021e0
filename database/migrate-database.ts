import { connectDatabase } from './connection.ts';
import { createMissingPartitions } from './partitions.ts';

/** Migrates the schema to the newest version. Each migration runs once. If two processes run this, one waits. */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const database = await connectDatabase(databaseUrl, { pool: 2 });
  try {
    const lock = await database.pool.connect();
    try {
      await lock.query(`select pg_advisory_lock(hashtext('migrate'))`);
      await database.orm.migrator.up();
      await createMissingPartitions(database.pool);
    } finally {
      lock.release(true); // ends the session, and with it the lock
    }
  } finally {
    await database.close();
  }
}
