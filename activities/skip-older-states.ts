import type { Database } from '../database/connection.ts';
import { skipOlderStates as settleOlderStates } from '../inbox/older-states.ts';
import { lockedTeam } from './step.ts';

/** Settles events for which a newer state of the same object waits. Returns their ids. */
export function skipOlderStates(database: Database) {
  return (teamId: string, inboxIds: readonly string[]): Promise<string[]> =>
    lockedTeam(database, teamId)((em) => settleOlderStates(em, teamId, inboxIds));
}
