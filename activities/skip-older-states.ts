import type { Database } from '../database/connection.ts';
import { skipOlderStates as settleOlderStates } from '../inbox/older-states.ts';
import { lockedTeam } from './event-step.ts';

/** Events that a newer state of the same object makes superfluous are settled. Returns their ids. */
export function skipOlderStates(database: Database) {
  return (teamId: string, inboxIds: readonly string[]): Promise<string[]> =>
    lockedTeam(database, teamId)((em) => settleOlderStates(em, teamId, inboxIds));
}
