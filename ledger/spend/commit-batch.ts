import { setTimeout } from 'node:timers/promises';
import type { Pool, PoolClient, QueryConfig } from 'pg';
import { type Database, withPartitions } from '../../database/connection.ts';
import { isConflict, isConnectionError, isLockTimeout, isTransientError } from '../../database/errors.ts';
import { DomainError } from '../../domain-error.ts';
import { type KnownKey, keyOf, type Reading } from './batch-state.ts';
import { decideOperations } from './decide-operations.ts';
import type { HoldAnswer, Operation, Outcome, Receipt } from './operation.ts';
import { findTeams, lockTeams, readBatchState, readKeys } from './read-batch-state.ts';
import { readReceipt } from './receipt.ts';
import { writeChanges } from './write-changes.ts';

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

/** The commit was sent and its answer was lost. `readBackOperations` must read whether it happened. */
class OutcomeUnknown extends Error {}

/**
 * Applies many operations in one short transaction: lock their teams, read, decide, write, commit. Returns after the
 * commit is durable.
 *
 * @param wait  whether to wait for teams that are locked elsewhere, up to the connection's lock timeout; if false,
 *   their operations are left undecided
 * @param firstGrants  how many grants of each team are read at first, before it is known whether they are enough
 * @returns one outcome for each operation, in order; null if its team is locked elsewhere and `wait` is false
 * @throws OutcomeUnknown if the connection was lost during the commit
 */
async function commitOperations(
  pool: Pool,
  operations: readonly Operation[],
  { wait, firstGrants }: { wait: boolean; firstGrants: number },
): Promise<(Outcome | null)[]> {
  return withPartitions(pool, () =>
    inTransaction(pool, (client) => decide(client, operations, wait, firstGrants)),
  );
}

/**
 * The outcomes of operations whose commit lost its answer. Under their teams' locks that transaction has ended, so the
 * stored keys are final: what was written under them, or null if nothing was.
 */
async function readBackOperations(
  pool: Pool,
  operations: readonly Operation[],
): Promise<(KnownKey | null)[]> {
  return inTransaction(pool, async (client) => {
    const [, { keys }] = await Promise.all([
      lockTeams(client, teamsOf(operations), true),
      readKeys(client, operations), // under the locks, as in `readBatchState`
    ]);
    const result = operations.map(({ teamId, idempotencyKey, bodyHash }) => {
      const known = idempotencyKey === null ? undefined : keys.get(keyOf(teamId, idempotencyKey));
      return known?.bodyHash.equals(bodyHash) ? known : null;
    });
    return { result, writes: [] };
  });
}

/** The result of deciding a batch, and the statements that write it. */
interface Decided<T> {
  result: T;
  writes: QueryConfig[];
}

async function decide(
  client: PoolClient,
  operations: readonly Operation[],
  wait: boolean,
  firstGrants: number,
): Promise<Decided<(Outcome | null)[]>> {
  const teamIds = teamsOf(operations);
  const locking = lockTeams(client, teamIds, wait);
  const read = (reading: Reading) =>
    readBatchState(client, locking, teamIds, operations, reading, firstGrants);
  let reading: Reading = { lapsedHolds: new Set(), allGrants: new Set() };
  let state = await read(reading);
  const { teams } = state;
  // A team that could not be locked is locked elsewhere or unknown. Operations of unknown teams are decided at once.
  const busy = wait
    ? new Set<string>()
    : await findTeams(
        client,
        teamIds.filter((id) => !teams.has(id)),
      );
  const decidable = busy.size === 0 ? operations : operations.filter(({ teamId }) => !busy.has(teamId));

  let decision = decideOperations(decidable, state, reading);
  while (decision.kind === 'undecided') {
    reading = decision.reading;
    state = await read(reading);
    decision = decideOperations(decidable, state, reading);
  }

  const outcomes = decision.outcomes.values();
  const outcomeOf = ({ teamId }: Operation): Outcome | null => {
    if (busy.has(teamId)) return null;
    const { value } = outcomes.next();
    if (!value) throw new Error('an operation was decided without an outcome');
    return value;
  };
  return {
    result: operations.map(outcomeOf),
    writes: writeChanges(decision.changes, state),
  };
}

function teamsOf(operations: readonly Operation[]): string[] {
  return [...new Set(operations.map(({ teamId }) => teamId))];
}

/**
 * Every statement of the hot path finds few rows by index, however large the tables are. Plans are made once per
 * connection and kept, so they must also be right for large tables.
 */
const beginTransaction = `
  begin;
  set local plan_cache_mode = force_generic_plan;
  set local enable_seqscan = off;
  set local enable_hashjoin = off;
  set local enable_mergejoin = off`;

/**
 * Usually two round trips: the reads, then the writes together with the commit. The connection's pipeline does not
 * wait for an answer between two statements, and statements that are sent together are one packet.
 */
async function inTransaction<T>(pool: Pool, decide: (client: PoolClient) => Promise<Decided<T>>): Promise<T> {
  const client = await pool.connect();
  let usable = true;
  try {
    const [begun, deciding] = inOnePacket(client, () => [client.query(beginTransaction), decide(client)]);
    begun.catch(() => {}); // thrown below
    let decided: Decided<T>;
    try {
      decided = await deciding;
      await begun;
    } catch (error) {
      await client.query('rollback').catch(() => {
        usable = false;
      });
      throw error;
    }
    const statements = [...decided.writes, 'commit'];
    // If a write fails, the following commit is answered with a rollback.
    const answers = await Promise.allSettled(
      inOnePacket(client, () => statements.map((statement) => client.query(statement))),
    );
    const failed = answers.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') {
      if (failed !== answers.at(-1) && !isConnectionError(failed.reason)) throw failed.reason;
      usable = false;
      throw new OutcomeUnknown('the connection was lost during the commit', { cause: failed.reason });
    }
    const committed = answers.at(-1);
    if (committed?.status !== 'fulfilled' || committed.value.command !== 'COMMIT')
      throw new Error('the commit was answered with a rollback, and no statement had failed');
    return decided.result;
  } finally {
    client.release(!usable);
  }
}

/** Each packet costs a system call here, and wakes Postgres up. */
function inOnePacket<T>(client: PoolClient, send: () => T): T {
  const { stream } = client.connection;
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}
