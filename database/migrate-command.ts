import { readEnvironment } from '../environment.ts';
import { runCommand } from '../run-command.ts';
import { migrateDatabase } from './migrate-database.ts';

/** `npm run migrate`: migrates the schema to the newest version. */
await runCommand(async () => {
  const { databaseUrl, databaseOwnerUrl } = readEnvironment(process.env, ['databaseUrl', 'databaseOwnerUrl']);
  await migrateDatabase(databaseOwnerUrl ?? databaseUrl, databaseUrl);
});
