import { connectDatabase } from '../database/connection.ts';
import { readEnvironment } from '../environment.ts';
import { runCommand } from '../run-command.ts';
import { loadCatalog } from './load-catalog.ts';
import { publishCatalog } from './versions.ts';

/** `npm run catalog:publish`: checks the catalog file and stores it as a new version. */
await runCommand(async () => {
  const environment = readEnvironment(process.env, ['databaseUrl', 'catalogFile']);
  const catalog = loadCatalog(environment.catalogFile);
  const database = await connectDatabase(environment.databaseUrl, { pool: 1 });
  try {
    const { catalogVersion, published } = await publishCatalog(database, catalog);
    console.log(
      published
        ? `Published as catalog version ${catalogVersion}.`
        : `Nothing has changed since catalog version ${catalogVersion}.`,
    );
  } finally {
    await database.close();
  }
});
