import type { EntityManager } from '@mikro-orm/postgresql';
import { findProduct } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import { PolarProduct } from '../database/entities/polar-product.ts';
import { readOnce } from '../database/read-once.ts';
import { DomainError } from '../domain-error.ts';
import type { PolarProductRef, PolarSubscription } from './events.ts';

/** The product that `npm run polar:sync` stored; null if there is none. */
export const findSyncedProduct = readOnce((em, polarProductId: string) =>
  em.findOne(PolarProduct, { polarProductId }),
);

/**
 * The catalog key of a Polar product: by the product id that `npm run polar:sync` stored, else by the product's own
 * `metadata.catalog_key` if the catalog has such a key. Null: not (yet) one of our products.
 */
export async function resolveProduct(em: EntityManager, ref: PolarProductRef): Promise<string | null> {
  const { productId, productCatalogKey } = ref;
  const stored = productId && (await findSyncedProduct(em, productId));
  if (stored) return stored.catalogKey;
  if (productCatalogKey === null) return null;
  const { catalog } = await readCatalog(em);
  return findProduct(catalog, productCatalogKey) ? productCatalogKey : null;
}

export function unknownProduct({ productId }: PolarProductRef): DomainError {
  return new DomainError(
    'unknown_product',
    `The catalog has no plan or pack for Polar's product ${productId}: add metadata.catalog_key to the product, then run npm run polar:sync -- --apply`,
  );
}

/** The catalog keys of a subscription's current plan and of its pending plan. */
export async function plansOf(
  em: EntityManager,
  subscription: PolarSubscription,
): Promise<{ plan: string | null; nextPlan: string | null }> {
  const next = subscription.pendingUpdate?.productId ?? null;
  return {
    plan: await resolveProduct(em, subscription),
    nextPlan: next && (await resolveProduct(em, { productId: next, productCatalogKey: null })),
  };
}

/** Stores the plan of a subscription's prices, because the lines of its orders name only the price. */
export async function rememberPrices(
  em: EntityManager,
  plan: string,
  priceIds: readonly string[],
): Promise<void> {
  if (priceIds.length === 0) return;
  await em.execute(
    `insert into polar_prices (price_id, catalog_key) select value, ? from jsonb_array_elements_text(?::jsonb)
     on conflict do nothing`,
    [plan, JSON.stringify(priceIds)],
  );
}
