import type { EntityManager } from '@mikro-orm/postgresql';

/** A read whose result is kept for the rest of the unit of work, also if it found nothing. */
export interface ReadOnce<Key extends unknown[], Result> {
  (em: EntityManager, ...key: Key): Promise<Result>;
  /** Sets the result from now on: this unit of work has created the row, or has read it by another statement. */
  keep(em: EntityManager, result: Result, ...key: Key): void;
}

/**
 * Makes a read that is sent at most once in a unit of work. So a step can send its reads together, and each function
 * still finds what it needs by itself. Only for rows that nobody else can write meanwhile, such as those of a locked
 * team, or that never change.
 */
export function readOnce<Key extends unknown[], Result>(
  read: (em: EntityManager, ...key: Key) => Promise<Result>,
): ReadOnce<Key, Result> {
  const results = new WeakMap<EntityManager, Map<string, Promise<Result>>>();
  const resultsOf = (em: EntityManager) => {
    const known = results.get(em) ?? new Map<string, Promise<Result>>();
    results.set(em, known);
    return known;
  };
  const find = (em: EntityManager, ...key: Key): Promise<Result> => {
    const known = resultsOf(em);
    const name = JSON.stringify(key);
    const result = known.get(name) ?? read(em, ...key);
    known.set(name, result);
    return result;
  };
  const keep = (em: EntityManager, result: Result, ...key: Key) =>
    void resultsOf(em).set(JSON.stringify(key), Promise.resolve(result));
  return Object.assign(find, { keep });
}
