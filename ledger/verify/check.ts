import type { PoolClient } from 'pg';

/** The table whose ids a check goes through in ranges. Each range is read in one short snapshot. */
export type Walk = 'teams' | 'holds';

/** A rule of the ledger, and what an operator should read if it is broken. */
export interface Rule {
  /** One sentence that is true of a correct ledger. */
  holds: string;
  lookNext: string;
}

/** Rules that are checked in one scan, for a range of ids. */
export interface Check {
  over: Walk;
  rules: Readonly<Record<string, Rule>>;
  /**
   * Finds violations of the rules: a statement that returns `rule, team_id, subject, expected, found`, or a function
   * that does. `$1` and `$2` bound the range (see `within`). Both are uuids or null.
   */
  find: string | ((client: PoolClient, range: [string | null, string | null]) => Promise<FindingRow[]>);
}

export interface FindingRow {
  rule: string;
  team_id: string | null;
  subject: string;
  expected: string;
  found: string;
}

/**
 * Limits a statement to its range of ids: above `$1`, up to `$2`; null is no bound. Postgres plans it as an index
 * range scan.
 */
export function within(column: string): string {
  return `($1::uuid is null or ${column} > $1::uuid) and ($2::uuid is null or ${column} <= $2::uuid)`;
}

/** As `within`, for a column of text that holds uuids. */
export function withinText(column: string): string {
  return `($1::uuid is null or ${column} > $1::uuid::text) and ($2::uuid is null or ${column} <= $2::uuid::text)`;
}
