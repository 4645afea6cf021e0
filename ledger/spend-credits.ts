import { setTimeout } from 'node:timers/promises';
import type { Database } from '../database/connection.ts';
import { isConnectionError, isDataError } from '../database/errors.ts';
import { DomainError } from '../domain-error.ts';
import { commitSpends, OutcomeUnknown, readBackSpends } from './commit-spends.ts';
import type { SpendOutcome } from './decide-spends.ts';
import { readReceipt } from './read-receipt.ts';
import type { EventLocation, Receipt, Spend } from './spend.ts';

export interface Spender {
  /**
   * Debits one priced consumption; the receipt comes once the commit is durable. The same key with the same body
   * answers with the same receipt and debits nothing.
   * @throws DomainError 402 `insufficient_credits` {required, available}; 404 `unknown_team`; 409 `idempotency_conflict`,
   * `team_deleted`; 422 `occurred_at_out_of_range`; 503 `outcome_unknown`, `database_unavailable`: send the same key again
   */
  spend(spend: Spend): Promise<Receipt>;
  /** Waits for what is under way; takes nothing new. */
  close(): Promise<void>;
}

export interface SpenderOptions {
  /** How long callers' keys are kept, in milliseconds: usage may have occurred no longer ago. */
  keysKept: number;
  /** Most spends in one commit. */
  batch?: number;
  /** Commits under way at once. */
  lanes?: number;
}

interface Pending {
  spend: Spend;
  resolve(receipt: Receipt | Promise<Receipt>): void;
  reject(error: unknown): void;
}

/**
 * Group commit: spends that arrive while a commit is under way are debited together by the next one. A caller alone
 * waits for nobody. A team is in one commit at a time, and a team whose lock is held elsewhere is taken out of the
 * batch and waited for apart, so that it stalls nobody else. Nothing about balances is kept between commits.
 */
export function createSpender(
  database: Database,
  { keysKept, batch = 256, lanes = 2 }: SpenderOptions,
): Spender {
  const waiting = new Map<string, Pending[]>(); // by team, in order of arrival
  const inFlight = new Set<string>();
  let free = lanes;
  let scheduled = false;
  let closed = false;
  let drained: (() => void) | null = null;

  return {
    spend(spend) {
      if (closed)
        return Promise.reject(
          new DomainError(503, 'shutting_down', 'This server is shutting down: send the same key again'),
        );
      return new Promise((resolve, reject) => {
        const queue = waiting.get(spend.teamId);
        if (queue) queue.push({ spend, resolve, reject });
        else waiting.set(spend.teamId, [{ spend, resolve, reject }]);
        schedule();
      });
    },
    async close() {
      closed = true;
      if (waiting.size > 0 || inFlight.size > 0)
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
    },
  };

  /** Takes in what arrives in this turn of the event loop before a commit begins. */
  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      while (free > 0) {
        const group = take();
        if (group.length === 0) break;
        free -= 1;
        void commitTogether(group);
      }
      if (waiting.size === 0 && inFlight.size === 0) drained?.();
    });
  }

  /** The next batch: teams that are in no commit, in order of arrival. */
  function take(): Pending[] {
    const group: Pending[] = [];
    for (const [teamId, queue] of waiting) {
      if (group.length >= batch) break;
      if (inFlight.has(teamId)) continue;
      group.push(...queue.splice(0, batch - group.length));
      if (queue.length === 0) waiting.delete(teamId);
      inFlight.add(teamId);
    }
    return group;
  }

  async function commitTogether(group: Pending[]): Promise<void> {
    const teams = new Set(group.map(({ spend }) => spend.teamId));
    let busy: Pending[] = [];
    try {
      busy = await commitGroup(group, false);
    } finally {
      free += 1;
      const busyTeams = Map.groupBy(busy, ({ spend }) => spend.teamId);
      for (const teamId of teams) if (!busyTeams.has(teamId)) inFlight.delete(teamId);
      for (const [teamId, pending] of busyTeams) void waitForTeam(teamId, pending);
      schedule();
    }
  }

  /** A team that is locked elsewhere is waited for on a connection of its own. */
  async function waitForTeam(teamId: string, pending: Pending[]): Promise<void> {
    try {
      await commitGroup(pending, true);
    } finally {
      inFlight.delete(teamId);
      schedule();
    }
  }

  /** Commits and answers a group; returns those whose team is locked elsewhere. Never rejects. */
  async function commitGroup(group: Pending[], wait: boolean): Promise<Pending[]> {
    try {
      const outcomes = await commitSpends(
        database.pool,
        group.map(({ spend }) => spend),
        { wait, keysKept },
      );
      return group.filter((pending, index) => {
        const outcome = outcomes[index];
        if (outcome) answer(pending, outcome);
        return !outcome;
      });
    } catch (error) {
      if (error instanceof OutcomeUnknown) await readBack(group);
      else if (isDataError(error) && group.length > 1) await commitOneByOne(group);
      else for (const { reject } of group) reject(isConnectionError(error) ? unavailable(error) : error);
      return [];
    }
  }

  /** A value that Postgres refuses is one caller's fault: no neighbour pays for it. */
  async function commitOneByOne(group: Pending[]): Promise<void> {
    for (const pending of group) await commitGroup([pending], true);
  }

  /** The commit's answer was lost: what is stored says what happened, once the database can be asked again. */
  async function readBack(group: Pending[]): Promise<void> {
    const events = await readBackWithRetries(
      database,
      group.map(({ spend }) => spend),
    );
    for (const [index, { resolve, reject }] of group.entries()) {
      const event = events?.[index];
      if (event) resolve(readReceipt(database.pool, event));
      else {
        const known = events ? 'This was not debited' : 'Whether this was debited is not known';
        reject(
          new DomainError(
            503,
            'outcome_unknown',
            `${known}: the database was lost on the way. Send the same key again`,
          ),
        );
      }
    }
  }

  function answer({ resolve, reject }: Pending, outcome: SpendOutcome): void {
    if (outcome.kind === 'debited') resolve(outcome.receipt);
    else if (outcome.kind === 'replayed') resolve(readReceipt(database.pool, outcome.event));
    else reject(outcome.error);
  }
}

/** Null where the database does not come back within some seconds. */
async function readBackWithRetries(
  database: Database,
  spends: Spend[],
): Promise<(EventLocation | null)[] | null> {
  for (const pause of [0, 100, 300, 1_000, 3_000]) {
    await setTimeout(pause);
    try {
      return await readBackSpends(database.pool, spends);
    } catch (error) {
      if (!isConnectionError(error) && !(error instanceof OutcomeUnknown)) throw error;
    }
  }
  return null;
}

function unavailable(cause: unknown): DomainError {
  const error = new DomainError(
    503,
    'database_unavailable',
    'The database cannot be reached: send the same key again in a moment',
  );
  error.cause = cause;
  return error;
}
