import { DomainError } from '../domain-error.ts';
import type { Catalog } from './schema.ts';

/**
 * Checks that `next` may follow `previous` as the published version. Keys are archived, never removed, because grants,
 * subscriptions, usage and Polar's products still refer to them. A plan stays a plan, a pack stays a pack, and a plan
 * keeps its interval, because Polar cannot change a product's interval.
 * @throws DomainError `catalog_breaks_previous` that names every wrong key
 */
export function checkCatalogSuccession(previous: Catalog, next: Catalog): void {
  const problems = [...products(previous), ...actions(previous)].flatMap(({ key, kind, interval }) => {
    const successor = [...products(next), ...actions(next)].find(
      (candidate) => candidate.key === key && (candidate.kind === 'action') === (kind === 'action'),
    );
    if (successor === undefined) return [`${kind} ${key} was removed: set archived: true instead`];
    if (successor.kind !== kind)
      return [`${key} was a ${kind} and is now a ${successor.kind}: use another key`];
    if (successor.interval !== interval) {
      return [
        `plan ${key} was billed by the ${interval} and is now by the ${successor.interval}: use another key`,
      ];
    }
    return [];
  });
  if (problems.length > 0) {
    throw new DomainError('catalog_breaks_previous', problems.join('\n'), { problems });
  }
}

function products({ plans, packs }: Catalog) {
  return [
    ...plans.map(({ key, interval }) => ({ kind: 'plan', key, interval })),
    ...packs.map(({ key }) => ({ kind: 'pack', key, interval: undefined })),
  ];
}

function actions({ prices }: Catalog) {
  return prices.map(({ action }) => ({ kind: 'action', key: action, interval: undefined }));
}
