import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * One published version of the catalog. Never changed: grants and usage refer to the version that they were made from.
 */
export const CatalogVersion = defineEntity({
  name: 'CatalogVersion',
  tableName: 'catalog_versions',
  properties: {
    version: p.integer().primary(),
    document: p.json<unknown>(),
    publishedAt: p.datetime(),
  },
});

export type CatalogVersion = InferEntity<typeof CatalogVersion>;
