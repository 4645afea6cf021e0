import type { Database } from '../database/connection.ts';
import type { SigningKeys } from '../outbox/seal-secret.ts';
import { resealWebhookSecrets } from '../outbox/webhook-endpoints.ts';
import { announceExpiringCredits } from './maintenance/announce-expiring-credits.ts';
import { closeMonths } from './maintenance/close-months.ts';
import { countUsageDays } from './maintenance/count-usage-days.ts';
import { cutOldPayloads } from './maintenance/cut-old-payloads.ts';
import { deleteOldKeys } from './maintenance/delete-old-keys.ts';
import { pruneOutbox } from './maintenance/prune-outbox.ts';
import { verifyLedger } from './maintenance/verify-ledger.ts';

export type MaintenanceActivities = ReturnType<typeof createMaintenanceActivities>;

export interface MaintenanceDependencies {
  database: Database;
  createMissingPartitions: (pool: Database['pool']) => Promise<void>;
  signingKeys: SigningKeys;
}

/** The steps of the schedules. Each may be run at any time, repeatedly, and be stopped in the middle. */
export function createMaintenanceActivities({
  database,
  createMissingPartitions,
  signingKeys,
}: MaintenanceDependencies) {
  return {
    createMissingPartitions: () => createMissingPartitions(database.pool),
    closeMonths: () => closeMonths(database),
    countUsageDays: () => countUsageDays(database),
    deleteOldKeys: () => deleteOldKeys(database),
    cutOldPayloads: () => cutOldPayloads(database),
    announceExpiringCredits: () => announceExpiringCredits(database),
    pruneOutbox: () => pruneOutbox(database),
    resealWebhookSecrets: () => resealWebhookSecrets(database, signingKeys),
    verifyLedger: () => verifyLedger(database),
  };
}
