import type { Database } from '../../database/connection.ts';
import { closeMonths as close } from '../../ledger/read/closed-months.ts';
import { heartbeating } from '../heartbeating.ts';

/**
 * Stores the sums of past months, from which past balances are computed.
 *
 * @returns how many months were closed
 */
export function closeMonths({ pool }: Database): Promise<number> {
  return heartbeating(() => close(pool));
}
