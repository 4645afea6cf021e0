import { fileURLToPath } from 'node:url';
import { loadCatalog } from '../../catalog/load-catalog.ts';

/** The contents of `catalog/catalog.yaml`: the default catalog of the tests. */
export const defaultCatalog = loadCatalog(
  fileURLToPath(new URL('../../catalog/catalog.yaml', import.meta.url)),
);
