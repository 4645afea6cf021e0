import type { Database } from '../../database/connection.ts';
import { forgetBalanceDays } from '../../ledger/read/balance-days.ts';
import { countAllUsageDays } from '../../ledger/read/usage-days.ts';
import { heartbeating } from '../heartbeating.ts';

/**
 * Counts the usage of ended days in each time zone in which a team reads reports. Forgets the time zones in which nobody reads.
 *
 * @returns how many teams' time zones had days to count
 */
export function countUsageDays({ pool }: Database): Promise<number> {
  return heartbeating(async () => {
    await forgetBalanceDays(pool);
    return countAllUsageDays(pool);
  });
}
