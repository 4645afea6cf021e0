import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** Which plan of the catalog a price of Polar's is of. A line of an order names its price only. */
export const PolarPrice = defineEntity({
  name: 'PolarPrice',
  tableName: 'polar_prices',
  properties: {
    priceId: p.text().primary(),
    catalogKey: p.text(),
  },
});

export type PolarPrice = InferEntity<typeof PolarPrice>;
