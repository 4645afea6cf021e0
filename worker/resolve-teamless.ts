import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { runEach } from '../database/run-each.ts';
import { DomainError, isRefusal } from '../domain-error.ts';
import {
  claimTeamlessEvents,
  giveInboxEventTeam,
  parkInboxEvent,
  refreshParkedEvent,
  type TeamlessEvent,
} from '../inbox/inbox.ts';
import { fetchCurrentObject } from '../polar/fetch-current-object.ts';
import { type ResolvedTeam, resolveEventTeam } from '../polar/resolve-team.ts';

/** One request to Polar for each, one after another. */
const eventsPerBatch = 20;

/**
 * Looks up the team of parked events without one: in our tables, else in Polar's current state. Events whose team is
 * found are due to be signalled. The others are parked again.
 *
 * @returns whether more may be due
 * @throws Error as `runEach`, after all other events are resolved
 */
export async function resolveTeamlessEvents(database: Database, polar: Polar): Promise<boolean> {
  const events = await claimTeamlessEvents(database, eventsPerBatch);
  await runEach(events, (event) => resolveAnew(database, polar, event));
  return events.length === eventsPerBatch;
}

async function resolveAnew(
  database: Database,
  polar: Polar,
  { id, type, payload }: TeamlessEvent,
): Promise<void> {
  const em = database.fork();
  const data = payload && typeof payload === 'object' && 'data' in payload ? payload.data : payload;
  let resolved = await resolveEventTeam(em, type, data);
  if (!('teamId' in resolved)) {
    try {
      const current = await fetchCurrentObject(polar, type, data);
      if (current) resolved = await resolveEventTeam(em, current.type, current.data);
      if (current?.replaces) await refreshParkedEvent(em, id, current.data);
    } catch (error) {
      // Polar is down: the event was claimed, so it is due again after a pause.
      if (error instanceof DomainError && !isRefusal(error)) return;
      throw error;
    }
  }
  if ('teamId' in resolved) await giveInboxEventTeam(em, id, resolved.teamId);
  else await parkInboxEvent(em, id, ...reasonOf(resolved));
}

function reasonOf(resolved: Exclude<ResolvedTeam, { teamId: string }>): [code: string, why: string] {
  return 'doubtful' in resolved
    ? ['doubtful_team', resolved.doubtful]
    : [
        'unknown_team',
        'The event, and its object at Polar, name none of our teams: set external_id of the customer at Polar to the team’s id, or assign the event to a team, or dismiss it',
      ];
}
