import { setTimeout } from 'node:timers/promises';
import type { Database } from '../../database/connection.ts';
import { isConflict, isConnectionError, isLockTimeout, isTransientError } from '../../database/errors.ts';
import { DomainError } from '../../domain-error.ts';
import { commitOperations, OutcomeUnknown, readBackOperations } from './commit-operations.ts';
import type {
  CaptureOperation,
  ExtendOperation,
  HoldAnswer,
  HoldOperation,
  LapseOperation,
  Operation,
  Outcome,
  Receipt,
  ReleaseOperation,
  SpendOperation,
} from './operation.ts';
import { readReceipt } from './read-receipt.ts';
import { defaultFirstGrants } from './read-standing.ts';
import type { KnownKey } from './standing.ts';

/**
 * The hot path to the ledger. Each answer comes once its commit is durable, and the same key with the same request
 * answers the same again and does nothing.
 *
 * All throw DomainError `insufficient_credits` {required, available}, `limit_reached`; `unknown_team`,
 * `unknown_hold`; `idempotency_conflict`, `team_deleted`, `hold_expired`, `hold_captured`, `hold_released`;
 * `occurred_at_out_of_range`, `member_required`,
 * `member_not_in_team`, `hold_too_long`; `outcome_unknown`, `database_unavailable`:
 * send the same key again.
 */
export interface GroupCommit {
  spend(operation: Omit<SpendOperation, 'kind'>): Promise<Receipt>;
  hold(operation: Omit<HoldOperation, 'kind'>): Promise<HoldAnswer>;
  capture(operation: Omit<CaptureOperation, 'kind'>): Promise<Receipt>;
  release(operation: Omit<ReleaseOperation, 'kind'>): Promise<HoldAnswer>;
  extend(operation: Omit<ExtendOperation, 'kind'>): Promise<HoldAnswer>;
  lapse(operation: Omit<LapseOperation, 'kind'>): Promise<HoldAnswer>;
  /** Waits for what is under way; takes nothing new. */
  close(): Promise<void>;
}

export interface GroupCommitOptions {
  /** Most operations in one commit. */
  batch?: number;
  /** Commits under way at once. */
  lanes?: number;
  /** How many grants of each team are read before it is known whether they suffice. */
  firstGrants?: number;
}

/** So many teams that are locked elsewhere are waited for at once, each on a connection; the others are tried again. */
const mostWaiters = 3;
/** The pause before a busy team is tried again, in milliseconds. */
const retryBusyAfter = 10;
/**
 * A commit beside one that is under way costs Postgres as much as that one: it begins when so many operations wait for it,
 * or when the other has taken so long, in milliseconds.
 */
const worthACommit = 16;
const longCommit = 20;

type Answer = { receipt: Receipt } | { hold: HoldAnswer };

interface Pending {
  operation: Operation;
  resolve(answer: Answer | Promise<Answer>): void;
  reject(error: unknown): void;
}

/**
 * Operations that arrive while a commit is under way are applied together by the next one. A caller alone waits for
 * nobody. A team is in one commit at a time, and a team whose lock is held elsewhere is taken out of the batch and
 * waited for apart, so that it stalls nobody else. Nothing about balances is kept between commits.
 */
export function createGroupCommit(
  database: Database,
  { batch = 256, lanes = 3, firstGrants = defaultFirstGrants }: GroupCommitOptions = {},
): GroupCommit {
  const waiting = new Map<string, Pending[]>(); // by team, in order of arrival
  const inFlight = new Set<string>();
  let free = lanes;
  let queued = 0;
  let lastBegun = 0;
  let looksAgain = false;
  let waiters = 0;
  let scheduled = false;
  let closed = false;
  let drained: (() => void) | null = null;

  return {
    spend: async (operation) => receiptOf(await submit({ kind: 'spend', ...operation })),
    hold: async (operation) => holdOf(await submit({ kind: 'hold', ...operation })),
    capture: async (operation) => receiptOf(await submit({ kind: 'capture', ...operation })),
    release: async (operation) => holdOf(await submit({ kind: 'release', ...operation })),
    extend: async (operation) => holdOf(await submit({ kind: 'extend', ...operation })),
    lapse: async (operation) => holdOf(await submit({ kind: 'lapse', ...operation })),
    async close() {
      closed = true;
      if (waiting.size === 0 && inFlight.size === 0) return;
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
    },
  };

  function submit(operation: Operation): Promise<Answer> {
    if (closed) {
      const why = 'This server is shutting down: send the same key again';
      return Promise.reject(new DomainError('shutting_down', why));
    }
    return new Promise((resolve, reject) => {
      const pending = { operation, resolve, reject };
      const queue = waiting.get(operation.teamId);
      if (queue) queue.push(pending);
      else waiting.set(operation.teamId, [pending]);
      queued += 1;
      schedule();
    });
  }

  /** Takes in what arrives in this turn of the event loop before a commit begins. */
  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      while (free > 0 && isWorthACommit()) {
        const group = take();
        if (group.length === 0) break;
        free -= 1;
        lastBegun = performance.now();
        void commitTogether(group);
      }
      if (free > 0 && queued > 0) lookAgain();
      if (waiting.size === 0 && inFlight.size === 0) drained?.();
    });
  }

  function isWorthACommit(): boolean {
    return free === lanes || queued >= worthACommit || performance.now() - lastBegun >= longCommit;
  }

  /** Should the commit under way take long, those who wait for it go on without it. */
  function lookAgain(): void {
    if (looksAgain) return;
    looksAgain = true;
    void setTimeout(longCommit).then(() => {
      looksAgain = false;
      if (queued > 0) schedule();
    });
  }

  /** The next batch: teams that are in no commit, the one first that has waited longest. */
  function take(): Pending[] {
    const group: Pending[] = [];
    for (const [teamId, queue] of waiting) {
      if (group.length >= batch) break;
      if (inFlight.has(teamId)) continue;
      group.push(...queue.splice(0, batch - group.length));
      waiting.delete(teamId);
      if (queue.length > 0) waiting.set(teamId, queue); // behind the others: a busy team starves nobody
      inFlight.add(teamId);
    }
    queued -= group.length;
    return group;
  }

  async function commitTogether(group: Pending[]): Promise<void> {
    const busy = Map.groupBy(await commitGroup(group, false), ({ operation }) => operation.teamId);
    free += 1;
    for (const { operation } of group) if (!busy.has(operation.teamId)) inFlight.delete(operation.teamId);
    for (const [teamId, pending] of busy) void waitForTeam(teamId, pending);
    schedule();
  }

  /** A team that is locked elsewhere is waited for on a connection of its own, while there are some to spare. */
  async function waitForTeam(teamId: string, pending: Pending[]): Promise<void> {
    if (waiters < mostWaiters) {
      waiters += 1;
      await commitGroup(pending, true);
      waiters -= 1;
    } else {
      await setTimeout(retryBusyAfter);
      waiting.set(teamId, [...pending, ...(waiting.get(teamId) ?? [])]);
      queued += pending.length;
    }
    inFlight.delete(teamId);
    schedule();
  }

  /** Commits and answers a group; returns those whose team is locked elsewhere. Never rejects. */
  async function commitGroup(group: Pending[], wait: boolean): Promise<Pending[]> {
    try {
      const outcomes = await commitOperations(
        database.pool,
        group.map(({ operation }) => operation),
        { wait, firstGrants },
      );
      return group.filter((pending, index) => {
        const outcome = outcomes[index];
        if (outcome) answer(pending, outcome);
        return !outcome;
      });
    } catch (error) {
      if (error instanceof OutcomeUnknown) await readBack(group);
      else if (group.length > 1 && !isEverybodys(error)) await commitOneByOne(group);
      else for (const { reject } of group) reject(explain(error));
      return [];
    }
  }

  /** What Postgres refuses, or we did not foresee, is of one operation: no neighbour pays for it. */
  async function commitOneByOne(group: Pending[]): Promise<void> {
    for (const pending of group) await commitGroup([pending], true);
  }

  /** The commit's answer was lost: what is stored says what happened, once the database can be asked again. */
  async function readBack(group: Pending[]): Promise<void> {
    try {
      const known = await readBackWithRetries(
        database,
        group.map(({ operation }) => operation),
      );
      for (const [index, pending] of group.entries()) {
        const found = known?.[index];
        if (!found) pending.reject(lost(known !== null));
        else if ('event' in found) answer(pending, { kind: 'replayed', event: found.event });
        else answer(pending, { kind: 'held', answer: found.answer });
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  function answer({ resolve, reject }: Pending, outcome: Outcome): void {
    if (outcome.kind === 'debited') resolve({ receipt: outcome.receipt });
    else if (outcome.kind === 'held') resolve({ hold: outcome.answer });
    else if (outcome.kind === 'refused') reject(outcome.error);
    else resolve(readReceipt(database.pool, outcome.event).then((receipt) => ({ receipt })));
  }
}

// The kind of an operation decides the kind of its answer; a key of another kind has another body and is a conflict.
function receiptOf(answer: Answer): Receipt {
  if ('receipt' in answer) return answer.receipt;
  throw new Error('a debit was answered with a hold');
}

function holdOf(answer: Answer): HoldAnswer {
  if ('hold' in answer) return answer.hold;
  throw new Error('a hold was answered with a receipt');
}

/** Null where the database does not come back within some seconds. */
async function readBackWithRetries(
  database: Database,
  operations: Operation[],
): Promise<(KnownKey | null)[] | null> {
  for (const pause of [0, 100, 300, 1_000, 3_000]) {
    await setTimeout(pause);
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
  const known = decided ? 'This was not done' : 'Whether this was done is not known';
  return new DomainError(
    'outcome_unknown',
    `${known}: the database was lost on the way. Send the same key again`,
  );
}

/** No operation alone would fare better: the database is away or overloaded, or a team that is waited for is locked. */
function isEverybodys(error: unknown): boolean {
  return isConnectionError(error) || (isTransientError(error) && !isConflict(error));
}

function explain(error: unknown): unknown {
  if (isConnectionError(error)) return unavailable(error);
  if (!isLockTimeout(error)) return error; // a transient one is mapped with those of all other routes
  return new DomainError('team_busy', 'Something else holds this team: send the same key again in a moment');
}

function unavailable(cause: unknown): DomainError {
  const error = new DomainError(
    'database_unavailable',
    'The database cannot be reached: send the same key again in a moment',
  );
  error.cause = cause;
  return error;
}
