import { readCatalog } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import * as outbox from '../../outbox/prune-outbox.ts';
import { heartbeating } from '../heartbeating.ts';

/** @returns how many delivered messages were deleted, older than the catalog's `messagesKept` */
export function pruneOutbox(database: Database): Promise<number> {
  return heartbeating(async (signal, onProgress) => {
    const { catalog } = await readCatalog(database);
    return outbox.pruneOutbox(database.pool, catalog.policies.messagesKept, { signal, onProgress });
  });
}
