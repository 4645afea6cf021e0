import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { isBeforeAdoption } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import { polarTime, readIds, readTeamRef, subjectOf } from './events.ts';
import { resolveProduct } from './resolve-product.ts';

/**
 * Whether an event without a known team is foreign, because the organisation at Polar also sells other things. A
 * foreign event has no team id and no product of the catalog. It is recorded once for each object, and never parked.
 * Changes of a customer without a team, and of its members, are foreign too: no team waits for them.
 */
export async function isForeign(em: EntityManager, type: string, data: unknown): Promise<boolean> {
  const subject = subjectOf(type);
  const { orderId } = readIds(type, data);
  if (subject === 'refund' || subject === 'dispute')
    return orderId !== null && !(await isParked(em, orderId));
  if (subject === 'customer' || subject === 'member') return true;
  if (subject === 'unused') return false;
  if (z.guid().safeParse(readTeamRef(type, data).metadataTeamId).success) return false;
  const product = productSchema.safeParse(data);
  if (!product.success) return false;
  const { policies } = (await readCatalog(em)).catalog;
  const createdAt = product.data.created_at;
  if (subject === 'order' && createdAt && isBeforeAdoption(createdAt, policies)) return true;
  const { product_id: productId = null, product: embedded } = product.data;
  const key = embedded?.metadata?.catalog_key;
  return (
    typeof key !== 'string' && (await resolveProduct(em, { productId, productCatalogKey: null })) === null
  );
}

/** The ids of a foreign event. Nothing else of it is recorded. */
export function foreignRecord(type: string, data: unknown): { key: string; payload: object } {
  const ids = z
    .object({ id: z.string() })
    .catchall(z.unknown())
    .transform((object) =>
      Object.fromEntries(Object.entries(object).filter(([name]) => /^(id|[a-z]+_id)$/.test(name))),
    )
    .safeParse(data);
  const kept = ids.success ? ids.data : {};
  return { key: `foreign:${subjectOf(type)}:${String(kept.id)}`, payload: { type, data: kept } };
}

async function isParked(em: EntityManager, objectId: string): Promise<boolean> {
  const rows = await em.execute(
    `select from inbox where source = 'polar' and payload->'data'->>'id' = ? and status in ('received', 'parked') limit 1`,
    [objectId],
  );
  return rows.length > 0;
}

const productSchema = z.object({
  created_at: polarTime.optional().catch(undefined),
  product_id: z.string().nullish().catch(null),
  product: z
    .object({ metadata: z.record(z.string(), z.unknown()).nullish().catch(null) })
    .nullish()
    .catch(null),
});
