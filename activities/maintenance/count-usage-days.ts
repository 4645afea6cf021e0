import type { Database } from '../../database/connection.ts';
import { countAllUsageDays } from '../../ledger/read/usage-days.ts';
import { heartbeating } from '../heartbeating.ts';

/**
 * Counts the usage of ended days in each time zone in which a team reads reports.
 *
 * @returns how many teams' time zones had days to count
 */
export function countUsageDays({ pool }: Database): Promise<number> {
  return heartbeating(() => countAllUsageDays(pool));
}
