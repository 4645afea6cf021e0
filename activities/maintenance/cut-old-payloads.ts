import { readCatalog } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import { cutOldPayloads as cutPayloads } from '../../inbox/cut-payloads.ts';
import { deleteHandledEvents } from '../../inbox/delete-handled-events.ts';
import { heartbeating } from '../heartbeating.ts';

/**
 * Reduces the payloads of old events to ids. Also deletes the rows of events that were handled longer ago than the
 * catalog's `handledEventsKept`.
 *
 * @returns how many payloads were reduced
 */
export function cutOldPayloads(database: Database): Promise<number> {
  return heartbeating(async (signal, onProgress) => {
    const cut = await cutPayloads(database.pool, { signal, onProgress });
    const { catalog } = await readCatalog(database);
    const keptMs = catalog.policies.handledEventsKept;
    await deleteHandledEvents(database.pool, keptMs, { signal, onProgress });
    return cut;
  });
}
