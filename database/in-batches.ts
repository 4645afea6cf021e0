export interface BatchOptions {
  /** Called after each batch with the total so far. */
  onProgress?: (rows: number) => void;
  /** Checked before each batch. */
  signal?: AbortSignal;
}

/**
 * Repeats a change of at most `rowsPerBatch` rows, each time in a short transaction, until fewer rows are left than that.
 *
 * @param change  returns how many rows it changed
 * @returns how many rows were changed in all
 */
export async function inBatches(
  rowsPerBatch: number,
  change: (rowsPerBatch: number) => Promise<number | null>,
  { onProgress, signal }: BatchOptions = {},
): Promise<number> {
  let total = 0;
  for (let last = rowsPerBatch; last === rowsPerBatch; ) {
    signal?.throwIfAborted();
    last = (await change(rowsPerBatch)) ?? 0;
    total += last;
    onProgress?.(total);
  }
  return total;
}
