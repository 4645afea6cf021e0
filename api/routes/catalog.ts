import { z } from 'zod';
import { decimalOut } from '../../catalog/credits.ts';
import { catalogDocument } from '../../catalog/load-catalog.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { defineRoute } from '../define-route.ts';

const product = {
  key: z.string(),
  name: z.string(),
  description: z.string(),
  price: z.strictObject({ currency: z.string(), cents: z.int() }),
};

const catalogOut = z.strictObject({
  trial: z.strictObject({
    credits: decimalOut,
    lifetime: z.string().meta({ examples: ['30d'] }),
    perOwner: z.int(),
  }),
  plans: z.array(
    z.strictObject({
      ...product,
      interval: z.enum(['month', 'year']),
      allotment: decimalOut.meta({ description: 'Credits of one complete cycle' }),
      rhythm: z.enum(['cycle', 'monthly']),
    }),
  ),
  packs: z.array(z.strictObject({ ...product, credits: decimalOut })),
  prices: z.array(
    z.strictObject({
      action: z.string(),
      name: z.string(),
      category: z.string(),
      model: z.string().optional(),
      meters: z.array(
        z.strictObject({
          meter: z.string(),
          credits: decimalOut.meta({ description: 'What `per` units cost' }),
          per: z.int(),
        }),
      ),
    }),
  ),
  priceVersion: z.int(),
});

export const catalogRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/catalog',
    tag: 'Catalog',
    summary: 'Plans, packs and prices',
    access: 'public',
    request: {},
    answers: { 200: catalogOut },
    refusals: ['catalog_not_published'],
    async handle(_request, { dependencies: { database } }) {
      const { version, catalog } = await readCatalog(database);
      const { trial, plans, packs, prices } = catalogDocument(catalog);
      const body = {
        trial,
        plans: onSale(plans),
        packs: onSale(packs),
        prices: onSale(prices),
        priceVersion: version,
      };
      return { status: 200, body };
    },
  }),
];

function onSale<Entry extends { archived?: boolean | undefined }>(
  entries: readonly Entry[],
): Omit<Entry, 'archived'>[] {
  return entries.filter((entry) => !entry.archived).map(({ archived: _, ...entry }) => entry);
}
