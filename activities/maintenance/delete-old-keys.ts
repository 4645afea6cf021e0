import { readCatalog } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import { pruneLimitMarks } from '../../ledger/spend/prune-limit-marks.ts';
import { cutExpiredLinks } from '../../teams/cut-expired-links.ts';
import { deleteOldKeys as deleteKeys } from '../../teams/delete-old-keys.ts';
import { heartbeating } from '../heartbeating.ts';

/**
 * Deletes idempotency keys that are older than the catalog's `idempotencyKeysKept`. Also removes expired links from
 * stored answers, and deletes the marks of limits that no cycle needs.
 *
 * @returns how many keys were deleted
 */
export function deleteOldKeys(database: Database): Promise<number> {
  return heartbeating(async (signal, onProgress) => {
    await cutExpiredLinks(database.pool);
    await pruneLimitMarks(database.pool);
    const { catalog } = await readCatalog(database);
    return deleteKeys(database.pool, catalog.policies.idempotencyKeysKept, { signal, onProgress });
  });
}
