/**
 * Works on the items, at most `atOnce` at a time, while `mayGoOn`. After an error it begins no further item. It throws the
 * error when all work has ended: otherwise the next round could work on an item that is still in progress.
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
