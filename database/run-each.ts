import { isConnectionError } from './errors.ts';

/**
 * Runs `work` for each item, one after another. An item whose work fails stops no other. Only a lost connection ends it, because
 * that concerns all of them.
 * @throws Error if work has failed: how often, with the first error as its cause
 */
export async function runEach<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const failures: unknown[] = [];
  for await (const item of items) {
    try {
      await work(item);
    } catch (error) {
      if (isConnectionError(error)) throw error;
      failures.push(error);
    }
  }
  if (failures.length === 0) return;
  const [cause] = failures;
  const why = cause instanceof Error ? cause.message : String(cause);
  throw new Error(`${failures.length} failed, the first because: ${why}`, { cause });
}
