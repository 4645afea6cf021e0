import { setTimeout } from 'node:timers/promises';
import type { Database } from '../database/connection.ts';
import type { CreditOperations } from '../ledger/spend/credit-operations.ts';
import { sweepHolds } from '../ledger/spend/sweep-holds.ts';
import { log } from '../log.ts';

const pauseMs = 60_000;
const holdsPerBatch = 500;

/**
 * Releases the credits of lapsed holds once a minute. A spend without enough credits releases them itself; this is for
 * balances and expiry. It runs in the worker's process, because a schedule would start a workflow run each minute. Any
 * number may run.
 */
export function startHoldSweep(
  database: Database,
  creditOperations: CreditOperations,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = (async () => {
    for (;;) {
      await setTimeout(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      try {
        while (
          !stopping.signal.aborted &&
          (await sweepHolds(database, creditOperations, { limit: holdsPerBatch })) === holdsPerBatch
        );
      } catch (error) {
        log.error({ err: error }, 'Lapsed holds could not be swept; the next sweep is in a minute');
      }
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
