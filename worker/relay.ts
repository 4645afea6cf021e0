import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { claimDueEvents, postponeInboxEvents } from '../inbox/inbox.ts';
import { log, oncePerMinute } from '../log.ts';
import type { TemporalClient } from '../temporal-client.ts';
import { explainSignalFailure, signalInboxEvents } from '../workflows/messages.ts';
import { type Repeated, repeat } from './repeat.ts';
import { resolveTeamlessEvents } from './resolve-teamless.ts';

/** How often the relay looks for due events, in milliseconds. */
const pollPauseMs = 250;
/** After this many checks without an answer the Temporal server counts as down. */
const missesWhenDown = 2;
/** How long a signal may take. A server that has just restarted is slow. */
const signalTimeoutMs = 10_000;
const eventsPerBatch = 100;

/**
 * Signals due inbox rows: events stored while Temporal was down, and parked events whose retry is due. The teams of
 * parked events without one are looked up in a separate loop, because Polar may be slow. Any number of relays may run.
 *
 * @param whenDown  called once for each outage, when the Temporal server is found to be down
 */
export function startRelay(
  { database, polar }: { database: Database; polar: Polar },
  temporal: TemporalClient,
  whenDown: () => void,
): Repeated {
  let misses = 0;
  const signalling = repeat(
    pollPauseMs,
    async (signal) => {
      // Nothing is claimed while Temporal is down, because the pauses of the rows would grow for nothing.
      misses = (await temporal.isReachable()) ? 0 : misses + 1;
      if (misses === missesWhenDown) whenDown();
      if (misses === 0) while (!signal.aborted && (await relayBatch(database, temporal)) === eventsPerBatch);
    },
    (error) => {
      if (mayLog('events')) log.error({ err: error }, 'The relay could not signal stored events; it retries');
    },
  );
  const resolving = repeat(
    pollPauseMs,
    async (signal) => {
      while (!signal.aborted && (await resolveTeamlessEvents(database, polar)));
    },
    (error) => {
      if (mayLog('parked events'))
        log.error({ err: error }, 'Parked events could not be resolved; the relay retries');
    },
  );
  return {
    async stop() {
      await Promise.all([signalling.stop(), resolving.stop()]);
    },
  };
}

/**
 * Events of one team are sent with one signal, because Temporal refuses more than a number of signals of a workflow.
 */
async function relayBatch(database: Database, temporal: TemporalClient): Promise<number> {
  const events = await claimDueEvents(database, eventsPerBatch);
  const byTeam = Map.groupBy(events, ({ teamId }) => teamId);
  await Promise.all(
    [...byTeam].map(async ([teamId, ofTeam]) => {
      const [first, ...more] = ofTeam.map(({ event }) => event);
      if (first === undefined) return;
      try {
        await temporal.call(signalTimeoutMs, (client) => signalInboxEvents(client, teamId, [first, ...more]));
      } catch (error) {
        const { reason, unreachable } = explainSignalFailure(error);
        if (mayLog(teamId)) {
          const events = ofTeam.length;
          log.warn(
            { teamId, events, reason },
            'Events could not be signalled to their team’s workflow; sent again',
          );
        }
        // A row that Temporal refuses keeps the pause that grew when it was claimed.
        if (unreachable) {
          const ids = ofTeam.map(({ event: { inboxId } }) => inboxId);
          await postponeInboxEvents(database, ids);
        }
      }
    }),
  );
  return events.length;
}

const mayLog = oncePerMinute();
