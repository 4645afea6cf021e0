import type { Pool, PoolClient } from 'pg';
import { createMissingPartitions, isMissingPartition } from '../database/partitions.ts';
import { decideOperations } from './decide-operations.ts';
import type { Operation, Outcome } from './operation.ts';
import { findTeams, lockTeams, readKeys, readStanding } from './read-standing.ts';
import { type KnownKey, keyOf } from './standing.ts';
import { writeChanges } from './write-changes.ts';

/** The commit was sent and its answer was lost: whether it happened must be read back (`readBackOperations`). */
export class OutcomeUnknown extends Error {}

/**
 * Applies many operations in one short transaction: lock their teams, read, decide, write, commit. Returns after the
 * commit is durable.
 *
 * @param wait  whether to wait for teams that are locked elsewhere, for as long as connections do; if not, their operations
 *   are left undecided
 * @param keysKept  how long callers' keys are kept, in milliseconds
 * @returns one outcome for each operation, in order; null where its team is locked elsewhere and `wait` is false
 * @throws OutcomeUnknown where the connection was lost during the commit
 */
export async function commitOperations(
  pool: Pool,
  operations: readonly Operation[],
  { wait, keysKept }: { wait: boolean; keysKept: number },
): Promise<(Outcome | null)[]> {
  const attempt = () => inTransaction(pool, (client) => apply(client, operations, wait, keysKept));
  try {
    return await attempt();
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    await createMissingPartitions(pool);
    return attempt();
  }
}

/**
 * What became of operations whose commit lost its answer. Behind their teams' locks that transaction is over, one way
 * or the other, so what the keys say is final: what was written under them, or null where nothing was.
 */
export async function readBackOperations(
  pool: Pool,
  operations: readonly Operation[],
): Promise<(KnownKey | null)[]> {
  return inTransaction(pool, async (client) => {
    await lockTeams(client, teamsOf(operations), true);
    const keys = await readKeys(client, operations);
    return operations.map(({ teamId, idempotencyKey, bodyHash }) => {
      const known = idempotencyKey === null ? undefined : keys.get(keyOf(teamId, idempotencyKey));
      return known?.bodyHash.equals(bodyHash) ? known : null;
    });
  });
}

async function apply(
  client: PoolClient,
  operations: readonly Operation[],
  wait: boolean,
  keysKept: number,
): Promise<(Outcome | null)[]> {
  const teamIds = teamsOf(operations);
  const locked = await lockTeams(client, teamIds, wait);
  const ours = new Set(locked.map(({ id }) => id));
  // What could not be locked is either locked elsewhere or unknown; unknown teams are decided at once.
  const busy = wait
    ? new Set<string>()
    : await findTeams(
        client,
        teamIds.filter((id) => !ours.has(id)),
      );
  const decidable = busy.size === 0 ? operations : operations.filter(({ teamId }) => !busy.has(teamId));

  let standing = await readStanding(client, locked, decidable, new Set(), keysKept);
  let decision = decideOperations(decidable, standing);
  if (decision.short.size > 0) {
    // Somebody runs short: what their team's lapsed holds still set aside is freed, and all is decided again.
    const { short } = decision;
    standing = await readStanding(client, locked, decidable, short, keysKept);
    decision = decideOperations(decidable, standing, short);
  }
  await writeChanges(client, decision.changes, standing);

  let next = 0;
  return operations.map(({ teamId }) => (busy.has(teamId) ? null : (decision.outcomes[next++] ?? null)));
}

function teamsOf(operations: readonly Operation[]): string[] {
  return [...new Set(operations.map(({ teamId }) => teamId))];
}

/**
 * Every statement of the hot path finds few rows by index, however large the tables have grown. Plans are made once a
 * connection and kept, and none of them may be one that was right only while the tables were small.
 */
const beginTransaction = `
  begin;
  set local plan_cache_mode = force_generic_plan;
  set local enable_seqscan = off;
  set local enable_hashjoin = off;
  set local enable_mergejoin = off`;

async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let usable = true;
  try {
    await client.query(beginTransaction);
    let result: T;
    try {
      result = await work(client);
    } catch (error) {
      await client.query('rollback').catch(() => {
        usable = false;
      });
      throw error;
    }
    try {
      await client.query('commit');
    } catch (error) {
      usable = false;
      throw new OutcomeUnknown('the connection was lost during the commit', { cause: error });
    }
    return result;
  } finally {
    client.release(!usable);
  }
}
