import { Context } from '@temporalio/activity';
import { readCatalog } from '../catalog/versions.ts';
import type { Database } from '../database/connection.ts';
import { cutOldPayloads } from '../inbox/cut-payloads.ts';
import { deleteHandledEvents } from '../inbox/delete-handled-events.ts';
import { closeMonths } from '../ledger/read/closed-months.ts';
import { pruneLimitMarks } from '../ledger/spend/prune-limit-marks.ts';
import { type LedgerFinding, verifyLedger } from '../ledger/verify/verify-ledger.ts';
import { log } from '../log.ts';
import { cutExpiredLinks } from '../teams/cut-expired-links.ts';
import { deleteOldKeys } from '../teams/delete-old-keys.ts';

export type MaintenanceActivities = ReturnType<typeof createMaintenanceActivities>;

/** The result of verifying the ledger, as a workflow carries it: plain JSON, small, no personal data. */
export interface LedgerVerdict {
  teams: number;
  holds: number;
  transfers: number;
  /** The minimum number of findings. */
  found: number;
  /** The violated rules. */
  rules: string[];
  /** The first findings; all of them are in the worker's log. */
  findings: LedgerFinding[];
}

/** Payloads in Temporal must be small: the number of findings and the characters per field are limited. */
const mostFindings = 20;
const longestFieldCharacters = 300;

const heartbeatPauseMs = 5_000;

export interface MaintenanceDependencies {
  database: Database;
  createMissingPartitions: (pool: Database['pool']) => Promise<void>;
}

/** The activities of the schedules. Each may be run at any time, repeatedly, and be stopped in the middle. */
export function createMaintenanceActivities({ database, createMissingPartitions }: MaintenanceDependencies) {
  return {
    createMissingPartitions: (): Promise<void> => createMissingPartitions(database.pool),

    /** @returns how many months were closed; past balances are computed from them */
    closeMonths: (): Promise<number> => heartbeating(() => closeMonths(database.pool)),

    /**
     * Also removes expired links from stored answers, and deletes the marks of limits that no cycle needs.
     * @returns how many keys were deleted: those older than the catalog's `idempotencyKeysKept`
     */
    deleteOldKeys: (): Promise<number> =>
      heartbeating(async (signal, tell) => {
        await cutExpiredLinks(database.pool);
        await pruneLimitMarks(database.pool);
        const { catalog } = await readCatalog(database);
        return deleteOldKeys(database.pool, catalog.policies.idempotencyKeysKept, {
          signal,
          onProgress: tell,
        });
      }),

    /**
     * Also deletes the rows of events that were handled longer ago than the catalog's `handledEventsKept`.
     * @returns how many payloads were reduced to ids
     */
    cutOldPayloads: (): Promise<number> =>
      heartbeating(async (signal, tell) => {
        const cut = await cutOldPayloads(database.pool, { signal, onProgress: tell });
        const { catalog } = await readCatalog(database);
        await deleteHandledEvents(database.pool, catalog.policies.handledEventsKept, {
          signal,
          onProgress: tell,
        });
        return cut;
      }),

    /**
     * Checks the rules of the ledger. Findings are a result, not a failure of this activity, because a retry would
     * find them again.
     */
    verifyLedger: (): Promise<LedgerVerdict> =>
      heartbeating(async (signal, tell) => {
        const {
          findings,
          milliseconds: _,
          ...counts
        } = await verifyLedger(database, {
          signal,
          onProgress: tell,
          onFinding: (finding) => log.error({ finding }, 'A rule of the ledger does not hold'),
        });
        return {
          ...counts,
          rules: [...new Set(findings.map(({ rule }) => rule))],
          findings: findings.slice(0, mostFindings).map(shorten),
        };
      }),
  };
}

/** Reports the progress to the server every few seconds, and stops if the workflow was cancelled. */
async function heartbeating<T>(
  work: (signal: AbortSignal, tell: (progress: unknown) => void) => Promise<T>,
): Promise<T> {
  const context = Context.current();
  let progress: unknown;
  const timer = setInterval(() => context.heartbeat(progress), heartbeatPauseMs);
  try {
    return await work(context.cancellationSignal, (latest) => {
      progress = latest;
    });
  } finally {
    clearInterval(timer);
  }
}

function shorten({ expected, found, subject, ...finding }: LedgerFinding): LedgerFinding {
  const cut = (text: string) =>
    text.length > longestFieldCharacters ? `${text.slice(0, longestFieldCharacters)}…` : text;
  return { ...finding, subject: cut(subject), expected: cut(expected), found: cut(found) };
}
