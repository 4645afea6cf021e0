import type { EntityManager } from '@mikro-orm/postgresql';
import { findProduct } from '../catalog/find-product.ts';
import { readCatalog } from '../catalog/versions.ts';
import { PolarProduct } from '../database/entities/polar-product.ts';
import type { PolarProductRef } from './events.ts';

/**
 * The catalog key of what a Polar product sells: by the product id that `npm run polar:sync` stored, else by the
 * product's own `metadata.catalog_key`, if the catalog has such a key. Null: not (yet) one of ours.
 */
export async function resolveProduct(em: EntityManager, ref: PolarProductRef): Promise<string | null> {
  const { productId, productCatalogKey } = ref;
  const stored = productId && (await em.findOne(PolarProduct, { polarProductId: productId }));
  if (stored) return stored.catalogKey;
  if (productCatalogKey === null) return null;
  const { catalog } = await readCatalog(em);
  return findProduct(catalog, productCatalogKey) ? productCatalogKey : null;
}
