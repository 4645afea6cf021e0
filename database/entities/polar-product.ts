import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The catalog key of a product at Polar. */
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
