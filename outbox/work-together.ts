/**
 * Works on the items, at most `atOnce` at a time, while `mayGoOn`. After an error no further item is begun. It is thrown only
 * when all work has ended, because the next round reads the items that are not recorded yet.
 */
export async function workTogether<Item>(
  items: readonly Item[],
  { atOnce, mayGoOn }: { atOnce: number; mayGoOn: () => boolean },
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let hasFailed = false;
  const worker = async () => {
    for (const item of queue) {
      if (hasFailed || !mayGoOn()) return;
      await work(item).catch((error: unknown) => {
        hasFailed = true;
        throw error;
      });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
