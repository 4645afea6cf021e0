import { randomUUID } from 'node:crypto';
import type { models } from '@polar-sh/sdk/2026-10';
import type { Request, Router } from 'express';
import { z } from 'zod';
import { bodyOf, flag, idOf, metadataSchema, oneOf, routesOf } from './answer.ts';
import { type Emulator, organizationOf } from './emulator.ts';
import { invalid, refusal } from './polar-refusal.ts';
import { fixedPriceOf } from './wire.ts';

/** Polar accepts no price below this in USD, except 0. */
const LOWEST_PRICE_CENTS = 50;
const interval = z.enum(['day', 'week', 'month', 'year']);
const price = z.strictObject({
  amount_type: z.literal('fixed'),
  price_currency: z.literal('usd').optional(),
  tax_behavior: z.enum(['location', 'inclusive', 'exclusive']).nullish(),
  price_amount: z
    .int()
    .min(0)
    .max(99_999_999)
    .refine((cents) => cents === 0 || cents >= LOWEST_PRICE_CENTS, {
      message: 'Amount must be at least $0.50 or 0 for free pricing',
      params: { type: 'minimum_price' },
    }),
});
const shared = {
  metadata: metadataSchema.optional(),
  description: z.string().nullish(),
  visibility: z.enum(['draft', 'private', 'public']).optional(),
  trial_interval: interval.nullish(),
  trial_interval_count: z.int().min(1).max(1000).nullish(),
};
const create = z.strictObject({
  ...shared,
  name: z.string().min(3).max(64),
  prices: z.array(price).length(1),
  medias: z.array(z.string()).max(0).nullish(),
  organization_id: z.guid().nullish(),
  recurring_interval: interval.nullish(),
  recurring_interval_count: z.int().min(1).max(999).nullish(),
});
const update = z.strictObject({
  ...shared,
  name: z.string().min(3).max(64).nullish(),
  visibility: shared.visibility.nullish(),
  is_archived: z.boolean().nullish(),
  recurring_interval: interval.nullish(),
  prices: z
    .array(z.union([z.strictObject({ id: z.guid() }), price]))
    .length(1)
    .nullish(),
});

/** Products: each has one fixed price, and stays recurring or one-time. */
export function productRoutes(router: Router, emulator: Emulator): void {
  const { list, get, post, patch, remove } = routesOf(router, emulator);
  const { store } = emulator;
  list('/v1/products/', {
    rows: () => store.products.all(),
    present: (product) => product,
    filters: {
      id: oneOf(({ id }) => id),
      is_archived: flag(({ is_archived }) => is_archived),
      is_recurring: flag(({ is_recurring }) => is_recurring),
      visibility: oneOf(({ visibility }) => visibility),
      query: ({ name }, [text]) => name.toLowerCase().includes((text ?? '').toLowerCase()),
    },
    sorting: {
      created_at: ({ created_at }) => Date.parse(created_at),
      name: ({ name }) => name,
      price_amount: (product) => fixedPriceOf(product).price_amount,
    },
    metadata: ({ metadata }) => metadata,
  });
  post('/v1/products/', (request) => createProduct(emulator, bodyOf(create, request, locOfNew(request))));
  get('/v1/products/:id', (request) => store.products.demand(idOf(request)));
  patch('/v1/products/:id', (request) =>
    updateProduct(emulator, store.products.demand(idOf(request)), bodyOf(update, request)),
  );
  remove('/v1/products/:id', (request) => {
    const product = store.products.demand(idOf(request));
    const used =
      store.checkouts.all().some(({ product_ids }) => product_ids.includes(product.id)) ||
      store.orders.all().some(({ wire }) => wire.product_id === product.id);
    if (used) throw refusal('ProductNotDeletable', 'This product has checkouts or orders: archive it.');
    store.products.delete(product.id);
  });
}

/** Polar names the variant in its error path: `one_time` or `recurring`, and `fixed` for a price. */
function locOfNew(request: Request): (path: (string | number)[]) => (string | number)[] {
  const variant = request.body?.recurring_interval ? 'recurring' : 'one_time';
  return ([field, index, ...rest]) => [
    variant,
    ...(field === undefined ? [] : [field]),
    ...(index === undefined ? [] : [index]),
    ...(field === 'prices' && rest.length > 0 ? ['fixed'] : []),
    ...rest,
  ];
}

function createProduct(emulator: Emulator, body: z.infer<typeof create>): models.Product {
  const id = randomUUID();
  const created_at = emulator.stamp();
  const recurring_interval = body.recurring_interval ?? null;
  if (recurring_interval === null && body.trial_interval) {
    throw invalid(
      ['body', 'trial_interval'],
      'Only a recurring product can have a trial',
      body.trial_interval,
    );
  }
  const product: models.Product = {
    id,
    created_at,
    modified_at: null,
    trial_interval: body.trial_interval ?? null,
    trial_interval_count: body.trial_interval ? (body.trial_interval_count ?? 1) : null,
    name: body.name,
    description: body.description ?? null,
    visibility: body.visibility ?? 'public',
    recurring_interval,
    recurring_interval_count: recurring_interval === null ? null : (body.recurring_interval_count ?? 1),
    meter_interval: null,
    meter_interval_count: null,
    is_recurring: recurring_interval !== null,
    is_archived: false,
    organization_id: organizationOf(emulator).id,
    metadata: body.metadata ?? {},
    is_deletable: true,
    prices: body.prices.map((given) => newPrice(id, created_at, given)),
    benefits: [],
    medias: [],
    attached_custom_fields: [],
  };
  emulator.store.products.put(product);
  emulator.emit('product.created', product);
  return product;
}

function updateProduct(
  emulator: Emulator,
  product: models.Product,
  body: z.infer<typeof update>,
): models.Product {
  const [given] = body.prices ?? [];
  if (given && 'id' in given && given.id !== fixedPriceOf(product).id) {
    throw invalid(['body', 'prices', 0, 'id'], 'Price does not exist.', given.id);
  }
  if (body.recurring_interval && body.recurring_interval !== product.recurring_interval) {
    throw invalid(
      ['body', 'recurring_interval'],
      'Recurring interval cannot be changed.',
      body.recurring_interval,
    );
  }
  const modified_at = emulator.stamp();
  const changed: models.Product = {
    ...product,
    modified_at,
    name: body.name ?? product.name,
    description: body.description === undefined ? product.description : body.description,
    visibility: body.visibility ?? product.visibility,
    metadata: body.metadata ?? product.metadata,
    is_archived: body.is_archived ?? product.is_archived,
    trial_interval: body.trial_interval === undefined ? product.trial_interval : body.trial_interval,
    trial_interval_count:
      body.trial_interval_count === undefined ? product.trial_interval_count : body.trial_interval_count,
    prices: given && !('id' in given) ? [newPrice(product.id, modified_at, given)] : product.prices,
  };
  emulator.store.products.put(changed);
  emulator.emit('product.updated', changed);
  return changed;
}

function newPrice(
  product_id: string,
  created_at: string,
  given: z.infer<typeof price>,
): models.ProductPriceFixed {
  return {
    created_at,
    modified_at: null,
    id: randomUUID(),
    source: 'catalog',
    amount_type: 'fixed',
    price_currency: given.price_currency ?? 'usd',
    tax_behavior: given.tax_behavior ?? null,
    is_archived: false,
    product_id,
    price_amount: given.price_amount,
  };
}
