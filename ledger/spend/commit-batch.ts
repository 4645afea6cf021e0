import { setTimeout } from 'node:timers/promises';
import type { Database } from '../../database/connection.ts';
import { isConflict, isConnectionError, isLockTimeout, isTransientError } from '../../database/errors.ts';
import { DomainError } from '../../domain-error.ts';
import type { KnownKey } from './batch-state.ts';
import { commitOperations, OutcomeUnknown, readBackOperations } from './commit-operations.ts';
import type { HoldAnswer, Operation, Outcome, Receipt } from './operation.ts';
import { readReceipt } from './receipt.ts';

/** An operation that waits for its answer. It is answered once: by `resolve` or by `reject`. */
export interface Pending {
  operation: Operation;
  /** On the process's monotonic clock. */
  submittedAtMs: number;
  resolve(answer: OperationAnswer | Promise<OperationAnswer>): void;
  reject(error: unknown): void;
}

export type OperationAnswer = { receipt: Receipt } | { hold: HoldAnswer };

/** How operations are committed. */
export interface CommitOptions {
  /** Whether to wait for teams that are locked elsewhere. */
  wait: boolean;
  /** How many grants of each team are read at first, before it is known whether they are enough. */
  firstGrants: number;
}

/**
 * Commits operations in one transaction and answers each.
 *
 * - If a commit fails for a reason that concerns one operation, each is committed alone, so that only the bad one fails.
 * - If the connection is lost during the commit, the keys are read back. If that cannot decide, the answer is 503
 *   `outcome_unknown`.
 *
 * @returns the operations that are not answered, because their team is locked elsewhere; none if `wait`. Never rejects.
 */
export async function commitBatch(
  database: Database,
  batch: readonly Pending[],
  options: CommitOptions,
): Promise<Pending[]> {
  const operations = batch.map(({ operation }) => operation);
  try {
    const outcomes = await commitOperations(database.pool, operations, options);
    return batch.filter((pending, index) => {
      const outcome = outcomes[index];
      if (outcome) answer(database, pending, outcome);
      return !outcome;
    });
  } catch (error) {
    if (error instanceof OutcomeUnknown) await answerByKeys(database, batch);
    else if (batch.length > 1 && !concernsAll(error)) await commitOneByOne(database, batch, options);
    else for (const { reject } of batch) reject(explain(error));
    return [];
  }
}

async function commitOneByOne(
  database: Database,
  batch: readonly Pending[],
  options: CommitOptions,
): Promise<void> {
  for (const pending of batch) await commitBatch(database, [pending], { ...options, wait: true });
}

function answer({ pool }: Database, { resolve, reject }: Pending, outcome: Outcome): void {
  if (outcome.kind === 'debited') resolve({ receipt: outcome.receipt });
  else if (outcome.kind === 'held') resolve({ hold: outcome.answer });
  else if (outcome.kind === 'refused') reject(outcome.error);
  else resolve(readReceipt(pool, outcome.event).then((receipt) => ({ receipt })));
}

/** The commit's answer was lost. Once the database answers again, the stored keys say what happened. */
async function answerByKeys(database: Database, batch: readonly Pending[]): Promise<void> {
  try {
    const known = await readBackWithRetries(
      database,
      batch.map(({ operation }) => operation),
    );
    for (const [index, pending] of batch.entries()) {
      const found = known?.[index];
      if (!found) pending.reject(lost(known !== null));
      else if ('event' in found) answer(database, pending, { kind: 'replayed', event: found.event });
      else answer(database, pending, { kind: 'held', answer: found.answer });
    }
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}

/** Pauses before each attempt to read keys back. */
const readBackPausesMs = [0, 100, 300, 1_000, 3_000];

/** Null if the database does not come back in that time. */
async function readBackWithRetries(
  database: Database,
  operations: readonly Operation[],
): Promise<(KnownKey | null)[] | null> {
  for (const pauseMs of readBackPausesMs) {
    await setTimeout(pauseMs);
    try {
      return await readBackOperations(database.pool, operations);
    } catch (error) {
      if (!isConnectionError(error) && !isTransientError(error) && !(error instanceof OutcomeUnknown))
        throw error;
    }
  }
  return null;
}

function lost(decided: boolean): DomainError {
  const known = decided ? 'This was not done' : 'It is not known whether this was done';
  return new DomainError(
    'outcome_unknown',
    `${known}: the connection to the database was lost. Send the same key again`,
  );
}

/**
 * Whether each operation alone would fail too: the database is down or overloaded, or a team that the batch waits for
 * is locked.
 */
function concernsAll(error: unknown): boolean {
  return isConnectionError(error) || (isTransientError(error) && !isConflict(error));
}

function explain(error: unknown): unknown {
  if (isConnectionError(error)) return unavailable(error);
  if (!isLockTimeout(error)) return error; // a transient one is mapped with those of all other routes
  return new DomainError(
    'team_busy',
    'Another transaction holds this team: send the same key again in a moment',
  );
}

function unavailable(cause: unknown): DomainError {
  const error = new DomainError(
    'database_unavailable',
    'The database cannot be reached: send the same key again in a moment',
  );
  error.cause = cause;
  return error;
}
