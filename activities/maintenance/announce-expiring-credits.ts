import type { Database } from '../../database/connection.ts';
import * as ledger from '../../ledger/lifecycle/announce-expiring-credits.ts';
import { heartbeating } from '../heartbeating.ts';

/** @returns how many notices of credits that expire soon were sent */
export function announceExpiringCredits(database: Database): Promise<number> {
  return heartbeating((signal, onProgress) =>
    ledger.announceExpiringCredits(database, { signal, onProgress }),
  );
}
