import type { Pool, PoolClient, QueryConfig } from 'pg';
import { isConnectionError } from '../../database/errors.ts';
import { withPartitions } from '../../database/partitions.ts';
import { type KnownKey, keyOf, type Reading } from './batch-state.ts';
import { decideOperations } from './decide-operations.ts';
import type { Operation, Outcome } from './operation.ts';
import { findTeams, lockTeams, readBatchState, readKeys } from './read-batch-state.ts';
import { writeChanges } from './write-changes.ts';

/** The commit was sent and its answer was lost. `readBackOperations` must read whether it happened. */
export class OutcomeUnknown extends Error {}

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
export async function commitOperations(
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
export async function readBackOperations(
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
