import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The catalog plan of a price at Polar. A line of an order names only its price. */
export const PolarPrice = defineEntity({
  name: 'PolarPrice',
  tableName: 'polar_prices',
  properties: {
    priceId: p.text().primary(),
    catalogKey: p.text(),
  },
});

export type PolarPrice = InferEntity<typeof PolarPrice>;
