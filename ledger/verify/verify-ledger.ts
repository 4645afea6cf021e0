import type { PoolClient } from 'pg';
import type { Database } from '../../database/connection.ts';
import { type Check, type FindingRow, type Walk, within } from './check.ts';
import { checks } from './checks.ts';

/** A violation of a rule of the ledger. */
export interface LedgerFinding {
  rule: string;
  /** The rule, as a sentence that is true of a correct ledger. */
  holds: string;
  teamId: string | null;
  /** The grant, event, key, debt or hold with the violation. */
  subject: string;
  expected: string;
  found: string;
  lookNext: string;
}

export interface Verification {
  teams: number;
  holds: number;
  transfers: number;
  /** The minimum number of findings: for one rule and range only the first ones are counted. */
  found: number;
  /** The first of them. */
  findings: LedgerFinding[];
  milliseconds: number;
}

export interface VerificationProgress {
  walk: Walk;
  done: number;
  total: number;
  transfers: number;
  found: number;
  milliseconds: number;
}

export interface VerifyOptions {
  /** Called after each range. */
  onProgress?: (progress: VerificationProgress) => void;
  /** Called with each finding. Findings after the first thousand are only passed here. */
  onFinding?: (finding: LedgerFinding) => void;
  signal?: AbortSignal;
}

/** A range is read in one snapshot: large enough to be fast, short enough not to delay vacuum. */
const rangeGoalMs = { shortest: 250, longest: 1_000 };
const firstRangeSize = 50;
const largestRangeSize = 10_000;
/** The maximum for one check in one range, so that a completely broken ledger does not fill the memory. */
const mostFindings = 1_000;

/**
 * Checks the rules of the ledger on a live database: teams, then holds, in ranges of ids, each range in one short
 * read-only snapshot. A snapshot contains only complete transactions, so concurrent writers cause no false findings.
 * It takes no locks. Postgres computes the sums; memory holds at most the findings of one range.
 *
 * @throws the signal's reason after it is aborted, between two statements
 */
export async function verifyLedger(
  { pool }: Pick<Database, 'pool'>,
  { onProgress, onFinding, signal }: VerifyOptions = {},
): Promise<Verification> {
  const started = performance.now();
  const result: Verification = { teams: 0, holds: 0, transfers: 0, found: 0, findings: [], milliseconds: 0 };
  const report = (finding: LedgerFinding) => {
    result.found += 1;
    if (result.findings.length < mostFindings) result.findings.push(finding);
    onFinding?.(finding);
  };

  const client = await pool.connect();
  let usable = false;
  try {
    for (const walk of ['teams', 'holds'] as const) {
      const total = await countOf(client, walk);
      let after: string | null = null;
      let size = firstRangeSize;
      do {
        const began = performance.now();
        const range: Range = await inSnapshot(client, () =>
          verifyRange(client, walk, after, size, report, signal),
        );
        result[walk] += range.ids;
        result.transfers += range.transfers;
        result.milliseconds = performance.now() - started;
        const { transfers, found, milliseconds } = result;
        onProgress?.({
          walk,
          done: result[walk],
          total: Math.max(total, result[walk]),
          transfers,
          found,
          milliseconds,
        });
        after = range.upTo;
        size = nextSize(size, performance.now() - began);
      } while (after !== null);
    }
    usable = true;
    return result;
  } finally {
    client.release(!usable); // in the middle of a range the connection is in a transaction
  }
}

interface Range {
  ids: number;
  transfers: number;
  /** The start of the next range; null after the last. */
  upTo: string | null;
}

/**
 * Ends the range after its next `size` ids. The last range has no end, so that rows with ids of missing objects are
 * included.
 */
async function verifyRange(
  client: PoolClient,
  walk: Walk,
  after: string | null,
  size: number,
  report: (finding: LedgerFinding) => void,
  signal: AbortSignal | undefined,
): Promise<Range> {
  const { rows } = await client.query<{ id: string }>(
    `select id from ${walk} where $1::uuid is null or id > $1 order by id limit $2`,
    [after, size],
  );
  const upTo = rows.length < size ? null : (rows.at(-1)?.id ?? null);
  for (const check of checks.filter(({ over }) => over === walk)) {
    signal?.throwIfAborted();
    for (const row of await findings(client, check, after, upTo)) report(toFinding(check, row));
  }
  return {
    ids: rows.length,
    transfers: walk === 'teams' ? await countTransfers(client, after, upTo) : 0,
    upTo,
  };
}

async function countTransfers(
  client: PoolClient,
  after: string | null,
  upTo: string | null,
): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `select count(*) from transfers t where ${within('t.team_id')}`,
    [after, upTo],
  );
  return countIn(rows);
}

async function findings(
  client: PoolClient,
  { find }: Check,
  after: string | null,
  upTo: string | null,
): Promise<FindingRow[]> {
  if (typeof find === 'function') return (await find(client, [after, upTo])).slice(0, mostFindings);
  const { rows } = await client.query<FindingRow>(`${find}\n limit ${mostFindings}`, [after, upTo]);
  return rows;
}

function toFinding({ rules }: Check, { rule, team_id, subject, expected, found }: FindingRow): LedgerFinding {
  const known = rules[rule];
  if (!known) throw new Error(`a check returned the rule ${rule}, which it does not have`);
  return { rule, holds: known.holds, teamId: team_id, subject, expected, found, lookNext: known.lookNext };
}

async function inSnapshot<T>(client: PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query('begin isolation level repeatable read read only');
  // A single pass over much data: compiling costs more than it saves, and parallel workers would take cores from
  // callers.
  await client.query(
    `set local jit = off; set local max_parallel_workers_per_gather = 0; set local work_mem = '64MB'`,
  );
  const result = await work();
  await client.query('commit');
  return result;
}

async function countOf(client: PoolClient, walk: Walk): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`select count(*) from ${walk}`);
  return countIn(rows);
}

function countIn([row]: readonly { count: string }[]): number {
  if (!row) throw new Error('a count returned no row');
  return Number(row.count);
}

function nextSize(size: number, tookMs: number): number {
  if (tookMs > rangeGoalMs.longest) return Math.max(1, Math.floor(size / 2));
  return tookMs < rangeGoalMs.shortest ? Math.min(size * 2, largestRangeSize) : size;
}
