import type { Catalog, Pack, Plan } from './schema.ts';

export type Product = { kind: 'plan'; plan: Plan } | { kind: 'pack'; pack: Pack };

/**
 * The plan or pack with this key, archived or not. Archived products are still renewed and granted. A caller that
 * sells must check `archived`.
 */
export function findProduct(catalog: Catalog, key: string): Product | undefined {
  const plan = catalog.plans.find((candidate) => candidate.key === key);
  if (plan) return { kind: 'plan', plan };
  const pack = catalog.packs.find((candidate) => candidate.key === key);
  return pack && { kind: 'pack', pack };
}
