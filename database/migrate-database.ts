import { grantToApplication } from './application-role.ts';
import { connectDatabase } from './connection.ts';
import { createMissingPartitions } from './partitions.ts';

/**
 * Migrates the schema to the newest version. Each migration runs once. If two processes run this, one waits.
 * @param ownerUrl  of the schema's owner
 * @param applicationUrl  of the role of API and worker: it is created and gets its rights. Without it, or with the owner's,
 *   API and worker connect as the owner
 */
export async function migrateDatabase(ownerUrl: string, applicationUrl = ownerUrl): Promise<void> {
  const database = await connectDatabase(ownerUrl, { pool: 3 });
  try {
    const lock = await database.pool.connect();
    try {
      await lock.query(`select pg_advisory_lock(hashtext('migrate'))`);
      await database.orm.migrator.up();
      await createMissingPartitions(database.pool);
      if (new URL(applicationUrl).username !== new URL(ownerUrl).username)
        await grantToApplication(database.pool, applicationUrl);
    } finally {
      lock.release(true); // ends the session, and with it the lock
    }
  } finally {
    await database.close();
  }
}
