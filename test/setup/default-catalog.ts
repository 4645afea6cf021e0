import { fileURLToPath } from 'node:url';
import { loadCatalog } from '../../catalog/load-catalog.ts';

/** What `catalog/catalog.yaml` says: the catalog of every test that asks for no other. */
export const defaultCatalog = loadCatalog(
  fileURLToPath(new URL('../../catalog/catalog.yaml', import.meta.url)),
);
