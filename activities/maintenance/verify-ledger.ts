import type { Database } from '../../database/connection.ts';
import { type LedgerFinding, verifyLedger as verify } from '../../ledger/verify/verify-ledger.ts';
import { log } from '../../log.ts';
import { heartbeating } from '../heartbeating.ts';

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

/**
 * Checks the rules of the ledger. Findings are a result, not a failure of this activity, because a retry would find
 * them again.
 */
export function verifyLedger(database: Database): Promise<LedgerVerdict> {
  return heartbeating(async (signal, onProgress) => {
    const {
      findings,
      milliseconds: _,
      ...counts
    } = await verify(database, {
      signal,
      onProgress,
      onFinding: (finding) => log.error({ finding }, 'A rule of the ledger does not hold'),
    });
    return {
      ...counts,
      rules: [...new Set(findings.map(({ rule }) => rule))],
      findings: findings.slice(0, mostFindings).map(shorten),
    };
  });
}

function shorten({ expected, found, subject, ...finding }: LedgerFinding): LedgerFinding {
  const cut = (text: string) =>
    text.length > longestFieldCharacters ? `${text.slice(0, longestFieldCharacters)}…` : text;
  return { ...finding, subject: cut(subject), expected: cut(expected), found: cut(found) };
}
