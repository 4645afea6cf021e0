import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** Which of Polar's products sells which plan or pack of the catalog. */
export const PolarProduct = defineEntity({
  name: 'PolarProduct',
  tableName: 'polar_products',
  properties: {
    polarProductId: p.text().primary(),
    catalogKey: p.text(),
    syncedAt: p.datetime(),
  },
});

export type PolarProduct = InferEntity<typeof PolarProduct>;
