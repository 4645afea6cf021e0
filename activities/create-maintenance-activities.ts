import type { Database } from '../database/connection.ts';
import { announceExpiringCredits } from './maintenance/announce-expiring-credits.ts';
import { closeMonths } from './maintenance/close-months.ts';
import { countUsageDays } from './maintenance/count-usage-days.ts';
import { cutOldPayloads } from './maintenance/cut-old-payloads.ts';
import { deleteOldKeys } from './maintenance/delete-old-keys.ts';
import { verifyLedger } from './maintenance/verify-ledger.ts';

export type MaintenanceActivities = ReturnType<typeof createMaintenanceActivities>;

export interface MaintenanceDependencies {
  database: Database;
  createMissingPartitions: (pool: Database['pool']) => Promise<void>;
}

/** The steps of the schedules. Each may be run at any time, repeatedly, and be stopped in the middle. */
export function createMaintenanceActivities({ database, createMissingPartitions }: MaintenanceDependencies) {
  return {
    createMissingPartitions: () => createMissingPartitions(database.pool),
    closeMonths: () => closeMonths(database),
    countUsageDays: () => countUsageDays(database),
    deleteOldKeys: () => deleteOldKeys(database),
    cutOldPayloads: () => cutOldPayloads(database),
    announceExpiringCredits: () => announceExpiringCredits(database),
    verifyLedger: () => verifyLedger(database),
  };
}
