import type { EntityManager } from '@mikro-orm/postgresql';
import { type Catalog, findProduct, type Product } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import { PolarProduct } from '../database/entities/polar-product.ts';
import { DomainError } from '../domain-error.ts';

/**
 * The plan or pack with this key, and the Polar product that is sold for it.
 * @throws DomainError `unknown_product` (also archived); `product_not_synced`
 */
export async function findSellableProduct(
  em: EntityManager,
  key: string,
): Promise<{ product: Product; polarProductId: string; catalog: Catalog; catalogVersion: number }> {
  const { catalog, catalogVersion } = await readCatalog(em);
  const product = findProduct(catalog, key);
  const archived = product?.kind === 'plan' ? product.plan.archived : product?.pack.archived;
  if (!product || archived) {
    const known = [...catalog.plans, ...catalog.packs].filter((one) => !one.archived).map((one) => one.key);
    throw new DomainError('unknown_product', `Nothing is sold under the key ${JSON.stringify(key)}`, {
      known,
    });
  }
  const synced = await em.findOne(PolarProduct, { catalogKey: key }, { orderBy: { syncedAt: 'desc' } });
  if (!synced) {
    const message = `${key} is not at Polar yet: run npm run polar:sync -- --apply`;
    throw new DomainError('product_not_synced', message, { product: key });
  }
  return { product, polarProductId: synced.polarProductId, catalog, catalogVersion };
}
