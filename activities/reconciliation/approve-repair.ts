import type { Database } from '../../database/connection.ts';
import { isRefusal } from '../../domain-error.ts';
import { approveRepair as approve } from '../../inbox/operator-decisions.ts';
import { deciderOf } from '../operator-step.ts';

/** An operator approves a large repair. Returns false if it no longer waits for an approval. */
export async function approveRepair(database: Database, inboxId: string, by: string): Promise<boolean> {
  try {
    await database.transaction((em) => approve(em, inboxId, deciderOf({ by, reason: null })));
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}
