import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** One published state of the catalog. Rows are never changed: grants and usage keep the version they were made from. */
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
