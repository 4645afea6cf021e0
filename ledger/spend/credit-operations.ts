import { setTimeout } from 'node:timers/promises';
import type { Database } from '../../database/connection.ts';
import { DomainError } from '../../domain-error.ts';
import {
  batchOperations,
  batchSeconds,
  creditOperationSeconds,
  lockedTeams,
  waitingOperations,
} from '../../metrics.ts';
import { commitBatch, type OperationAnswer, type Pending } from './commit-batch.ts';
import type {
  CaptureOperation,
  ExtendOperation,
  HoldAnswer,
  HoldOperation,
  LapseOperation,
  Operation,
  Receipt,
  ReleaseOperation,
  SpendOperation,
} from './operation.ts';
import { defaultFirstGrants } from './read-batch-state.ts';

/*
 * Group commit: many operations share one transaction.
 *
 * Why. An operation in a transaction of its own costs a disk flush (the fsync of a COMMIT), several round trips and the lock
 * of its team for all of that time. A disk flushes one commit after the other, and a lock has one holder, so this limits both
 * all teams together and each team with many callers. Operations that share a transaction share its flush, its round trips
 * and its locks. Durability is the same: an operation is answered after its commit.
 *
 * How. Each team has a queue of operations. A batch takes the queues of several teams, the longest waiting first. A single
 * caller does not wait. Operations that arrive during a commit go into the next one. Each team is in one state:
 *
 *   free        in no commit. A batch may take its queue.
 *                 a batch takes its operations                         → committing
 *   committing  the oldest of its operations are in a batch. Others queue, so that no team is in two commits.
 *                 the batch is committed and answered                  → free
 *                 its lock is held elsewhere, a connection is free     → blocked
 *                 its lock is held elsewhere, no connection is free    → pausing
 *   blocked     the same operations wait for its lock on their own connection, and stall no other team.
 *                 they are committed and answered                      → free
 *   pausing     the same operations are at the head of its queue again.
 *                 after `lockedTeamPauseMs`                            → free
 *
 * The service itself goes from open to closing (no new operations) to closed (every operation is answered). No balance is kept
 * between commits, so any number of processes may commit.
 */
type QueueState = 'free' | 'committing' | 'blocked' | 'pausing';
type ServiceState = 'open' | 'closing' | 'closed';

/** Which state may follow which. */
const transitions: Readonly<Record<QueueState, readonly QueueState[]>> = {
  free: ['committing'],
  committing: ['free', 'blocked', 'pausing'],
  blocked: ['free'],
  pausing: ['free'],
};

/**
 * The hot path to the ledger. Each answer comes after its commit is durable. The same key with the same request gets the same
 * answer again and changes nothing.
 *
 * All throw DomainError `insufficient_credits` {required, available}, `limit_reached`; `unknown_team`, `unknown_hold`;
 * `idempotency_conflict`, `team_deleted`, `hold_expired`, `hold_captured`, `hold_released`; `occurred_at_out_of_range`,
 * `member_required`, `member_not_in_team`, `hold_too_long`. Also `outcome_unknown`, `database_unavailable`, `team_busy` and
 * `shutting_down`: then the caller should send the same key again.
 */
export interface CreditOperations {
  spend(operation: Omit<SpendOperation, 'kind'>): Promise<Receipt>;
  hold(operation: Omit<HoldOperation, 'kind'>): Promise<HoldAnswer>;
  capture(operation: Omit<CaptureOperation, 'kind'>): Promise<Receipt>;
  release(operation: Omit<ReleaseOperation, 'kind'>): Promise<HoldAnswer>;
  extend(operation: Omit<ExtendOperation, 'kind'>): Promise<HoldAnswer>;
  lapse(operation: Omit<LapseOperation, 'kind'>): Promise<HoldAnswer>;
  /** Accepts no new operation and waits until every other is answered. */
  close(): Promise<void>;
}

export interface CreditOperationsOptions {
  /** Maximum number of operations in one batch. */
  maxBatchOperations?: number;
  /** Maximum number of batches in flight. */
  maxBatchesInFlight?: number;
  /** How many grants of each team are read at first, before it is known whether they are enough. */
  firstGrants?: number;
}

/** Maximum number of teams in the state `blocked` (one connection each). */
const maxBlockedTeams = 3;
const lockedTeamPauseMs = 10;
/**
 * A concurrent batch costs the API and Postgres as much as the first one. The second starts if 16 operations wait, the
 * third if 32 wait. If the first takes longer than 20 ms, the second starts with any number.
 */
const nextBatchOperations = 16;
const secondBatchAfterMs = 20;

export function createCreditOperations(
  database: Database,
  {
    maxBatchOperations = 256,
    maxBatchesInFlight = 3,
    firstGrants = defaultFirstGrants,
  }: CreditOperationsOptions = {},
): CreditOperations {
  let service: ServiceState = 'open';
  /** The states of teams that are not free. */
  const states = new Map<string, Exclude<QueueState, 'free'>>();
  /** Operations that are in no commit, by team, the longest waiting team first. No queue is empty. */
  const queues = new Map<string, Pending[]>();
  let queued = 0;
  let batchesInFlight = 0;
  let lastBatchAt = 0;
  let dispatchIsScheduled = false;
  let dispatchIsTimed = false;
  const closed = Promise.withResolvers<void>();

  return {
    spend: async (operation) => receiptOf(await submit({ kind: 'spend', ...operation })),
    hold: async (operation) => holdOf(await submit({ kind: 'hold', ...operation })),
    capture: async (operation) => receiptOf(await submit({ kind: 'capture', ...operation })),
    release: async (operation) => holdOf(await submit({ kind: 'release', ...operation })),
    extend: async (operation) => holdOf(await submit({ kind: 'extend', ...operation })),
    lapse: async (operation) => holdOf(await submit({ kind: 'lapse', ...operation })),
    async close() {
      if (service === 'open') service = 'closing';
      scheduleDispatch();
      await closed.promise;
    },
  };

  function submit(operation: Operation): Promise<OperationAnswer> {
    if (service !== 'open') {
      const why = 'This server is shutting down: send the same key again';
      return Promise.reject(new DomainError('shutting_down', why));
    }
    return new Promise((resolve, reject) => {
      const pending = { operation, resolve, reject, submittedAtMs: performance.now() };
      const queue = queues.get(operation.teamId);
      if (queue) queue.push(pending);
      else queues.set(operation.teamId, [pending]);
      countWaiting(1);
      scheduleDispatch();
    });
  }

  /** Dispatches after this turn of the event loop, so that all operations that arrive in it go into one batch. */
  function scheduleDispatch(): void {
    if (dispatchIsScheduled) return;
    dispatchIsScheduled = true;
    queueMicrotask(() => {
      dispatchIsScheduled = false;
      dispatch();
    });
  }

  /** Starts the batches that are due. If the service is closing and nothing is left, closes it. */
  function dispatch(): void {
    while (batchesInFlight < maxBatchesInFlight && isBatchDue()) {
      const taken = takeBatch();
      if (taken.length === 0) break;
      void runBatch(taken);
    }
    if (batchesInFlight < maxBatchesInFlight && queued > 0) dispatchLater();
    if (service === 'closing' && queued === 0 && states.size === 0) {
      service = 'closed';
      closed.resolve();
    }
  }

  function isBatchDue(): boolean {
    return (
      batchesInFlight === 0 ||
      queued >= nextBatchOperations * batchesInFlight ||
      (batchesInFlight === 1 && performance.now() - lastBatchAt >= secondBatchAfterMs)
    );
  }

  /** If the batch in flight takes long, the waiting operations start another one. */
  function dispatchLater(): void {
    if (dispatchIsTimed) return;
    dispatchIsTimed = true;
    void setTimeout(secondBatchAfterMs).then(() => {
      dispatchIsTimed = false;
      if (queued > 0) scheduleDispatch();
    });
  }

  /** Takes the operations of free teams, up to a full batch. */
  function takeBatch(): Pending[] {
    const taken: Pending[] = [];
    for (const [teamId, queue] of queues) {
      if (taken.length >= maxBatchOperations) break;
      if (stateOf(teamId) !== 'free') continue;
      const ofTeam = queue.splice(0, maxBatchOperations - taken.length);
      taken.push(...ofTeam);
      countWaiting(-ofTeam.length);
      queues.delete(teamId);
      if (queue.length > 0) queues.set(teamId, queue); // behind the others, so that a busy team does not starve them
      enter(teamId, 'committing');
    }
    return taken;
  }

  async function runBatch(taken: readonly Pending[]): Promise<void> {
    batchesInFlight += 1;
    lastBatchAt = performance.now();
    const left = await commit(taken, false);
    batchesInFlight -= 1;
    const locked = Map.groupBy(left, ({ operation }) => operation.teamId);
    lockedTeams.inc(locked.size);
    for (const teamId of new Set(taken.map(({ operation }) => operation.teamId))) {
      const pending = locked.get(teamId);
      if (!pending) enter(teamId, 'free');
      else if (blockedTeams() < maxBlockedTeams) void block(teamId, pending);
      else void pause(teamId, pending);
    }
    scheduleDispatch();
  }

  /** Returns the operations that are not answered. Never rejects. */
  async function commit(batch: readonly Pending[], wait: boolean): Promise<readonly Pending[]> {
    const startedAtMs = performance.now();
    const left = await commitBatch(database, batch, { wait, firstGrants });
    const nowMs = performance.now();
    const unanswered = new Set(left);
    batchOperations.observe(batch.length - left.length);
    batchSeconds.observe({ lock: wait ? 'waited' : 'free' }, (nowMs - startedAtMs) / 1_000);
    for (const pending of batch) {
      if (unanswered.has(pending)) continue;
      const { operation, submittedAtMs } = pending;
      creditOperationSeconds.observe({ kind: operation.kind }, (nowMs - submittedAtMs) / 1_000);
    }
    return left;
  }

  async function block(teamId: string, pending: readonly Pending[]): Promise<void> {
    enter(teamId, 'blocked');
    await commit(pending, true);
    enter(teamId, 'free');
    scheduleDispatch();
  }

  async function pause(teamId: string, pending: readonly Pending[]): Promise<void> {
    enter(teamId, 'pausing');
    queues.set(teamId, [...pending, ...(queues.get(teamId) ?? [])]);
    countWaiting(pending.length);
    await setTimeout(lockedTeamPauseMs);
    enter(teamId, 'free');
    scheduleDispatch();
  }

  function countWaiting(operations: number): void {
    queued += operations;
    waitingOperations.inc(operations);
  }

  function stateOf(teamId: string): QueueState {
    return states.get(teamId) ?? 'free';
  }

  function enter(teamId: string, state: QueueState): void {
    const before = stateOf(teamId);
    if (!transitions[before].includes(state))
      throw new Error(`team ${teamId} cannot go from ${before} to ${state}`);
    if (state === 'free') states.delete(teamId);
    else states.set(teamId, state);
  }

  function blockedTeams(): number {
    return [...states.values()].filter((state) => state === 'blocked').length;
  }
}

// The kind of an operation decides the kind of its answer: a key of another kind has another body and is a conflict.
function receiptOf(answer: OperationAnswer): Receipt {
  if ('receipt' in answer) return answer.receipt;
  throw new Error('a debit was answered with a hold');
}

function holdOf(answer: OperationAnswer): HoldAnswer {
  if ('hold' in answer) return answer.hold;
  throw new Error('a hold was answered with a receipt');
}
