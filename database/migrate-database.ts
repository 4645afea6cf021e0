import { connectDatabase } from './connection.ts';
import { createMissingPartitions } from './partitions.ts';

/** Brings the schema up to date. Runs nothing twice; of two at once, one waits for the other. */
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
