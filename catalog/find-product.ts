import type { Catalog, Pack, Plan } from './schema.ts';

export type Product = { kind: 'plan'; plan: Plan } | { kind: 'pack'; pack: Pack };

/**
 * The plan or pack with this key, archived or not: what was once sold is still renewed and granted; whoever sells
 * looks at `archived`.
 */
export function findProduct(catalog: Catalog, key: string): Product | undefined {
  const plan = catalog.plans.find((candidate) => candidate.key === key);
  if (plan) return { kind: 'plan', plan };
  const pack = catalog.packs.find((candidate) => candidate.key === key);
  return pack && { kind: 'pack', pack };
}
