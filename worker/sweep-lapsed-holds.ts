import type { Database } from '../database/connection.ts';
import type { CreditOperations } from '../ledger/spend/credit-operations.ts';
import { sweepHolds } from '../ledger/spend/sweep-holds.ts';
import { log } from '../log.ts';
import { type Repeated, repeat } from './repeat.ts';

const pauseMs = 60_000;
const holdsPerBatch = 500;

/**
 * Releases the credits of lapsed holds once a minute. A spend without enough credits releases them itself; this is for
 * balances and expiry. It runs in the worker's process, because a schedule would start a workflow run each minute. Any
 * number may run.
 */
export function startHoldSweep(database: Database, creditOperations: CreditOperations): Repeated {
  return repeat(
    pauseMs,
    async (signal) =>
      void (await sweepHolds(database, creditOperations, { batchSize: holdsPerBatch, signal })),
    (error) => log.error({ err: error }, 'Lapsed holds could not be swept; the next sweep is in a minute'),
  );
}
