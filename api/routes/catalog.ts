import { z } from 'zod';
import { decimalOut } from '../../catalog/credits.ts';
import { catalogDocument } from '../../catalog/load-catalog.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { defineRoute } from '../define-route.ts';

const productShape = {
  key: z.string().meta({ examples: ['pro_monthly'] }),
  name: z.string().meta({ examples: ['Pro'] }),
  description: z.string().meta({ examples: ['For teams that run workflows every day.'] }),
  price: z
    .strictObject({
      currency: z.string().meta({ examples: ['usd'] }),
      cents: z.int().meta({ examples: [4900] }),
    })
    .meta({ id: 'ProductPrice' }),
};

const trialOut = z
  .strictObject({
    credits: decimalOut,
    lifetime: z.string().meta({ examples: ['30d'] }),
    perOwner: z.int(),
  })
  .meta({ id: 'Trial' });

const planOut = z
  .strictObject({
    ...productShape,
    interval: z.enum(['month', 'year']),
    allotment: decimalOut.meta({ description: 'Credits of one whole cycle' }),
    rhythm: z.enum(['cycle', 'monthly']),
  })
  .meta({ id: 'Plan' });

const packOut = z.strictObject({ ...productShape, credits: decimalOut }).meta({ id: 'Pack' });

const meterPriceOut = z
  .strictObject({
    meter: z.string().meta({ examples: ['input_tokens'] }),
    credits: decimalOut.meta({ description: 'The price of `per` units' }),
    per: z.int().meta({ examples: [1000] }),
  })
  .meta({ id: 'MeterPrice' });

const actionPriceOut = z
  .strictObject({
    action: z.string().meta({ examples: ['model.gpt-5'] }),
    name: z.string().meta({ examples: ['GPT-5'] }),
    category: z.string().meta({ examples: ['model'] }),
    model: z
      .string()
      .optional()
      .meta({ examples: ['gpt-5'] }),
    meters: z.array(meterPriceOut),
  })
  .meta({ id: 'ActionPrice' });

const catalogOut = z
  .strictObject({
    trial: trialOut,
    plans: z.array(planOut),
    packs: z.array(packOut),
    prices: z.array(actionPriceOut),
    priceVersion: z.int(),
  })
  .meta({ id: 'Catalog' });

export const catalogRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/catalog',
    tag: 'Catalog',
    operationId: 'readCatalog',
    summary: 'Read the plans, packs and prices in force',
    access: 'public',
    request: {},
    answers: { 200: catalogOut },
    refusals: ['catalog_not_published'],
    async handle(_request, { dependencies: { database } }) {
      const { catalogVersion, catalog } = await readCatalog(database);
      const { trial, plans, packs, prices } = catalogDocument(catalog);
      const body = {
        trial,
        plans: onSale(plans),
        packs: onSale(packs),
        prices: onSale(prices),
        priceVersion: catalogVersion,
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
