import { connectDatabase } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import { readEnvironment } from '../environment.ts';
import { loadCatalog } from './load-catalog.ts';
import { publishCatalog } from './versions.ts';

/** `npm run catalog:publish`: checks the catalog file and stores it as a new version. */
const environment = readEnvironment(process.env, ['databaseUrl', 'catalogFile']);
const database = await connectDatabase(environment.databaseUrl, { pool: 1 });
try {
  const { version, published } = await publishCatalog(database, loadCatalog(environment.catalogFile));
  console.log(
    published
      ? `Published as catalog version ${version}.`
      : `Nothing has changed since catalog version ${version}.`,
  );
} catch (error) {
  if (!(error instanceof DomainError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await database.close();
}
