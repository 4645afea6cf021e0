import { setTimeout } from 'node:timers/promises';
import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { claimDueEvents, postponeInboxEvents } from '../inbox/inbox.ts';
import { log, oncePerMinute } from '../log.ts';
import type { TemporalClient } from '../temporal-client.ts';
import { explainSignalFailure, signalInboxEvents } from '../workflows/messages.ts';
import { resolveTeamlessEvents } from './resolve-teamless.ts';

/** How often the relay looks for events that nobody was told of, in milliseconds. */
const pollEvery = 250;
/** After so many checks without an answer the Temporal server is taken for down. */
const missesWhenDown = 2;
/** How long a signal may take: a server that has just come back is slow. */
const signalPatience = 10_000;
const batch = 100;

export interface Relay {
  /** Stops after the batch under way. */
  stop(): Promise<void>;
}

/**
 * Signals whatever is stored in the inbox and not handled: events stored while Temporal was down, parked events that are
 * due to be retried. Parked events without a team are resolved anew meanwhile, because Polar may be slow. Any number of
 * relays may run.
 *
 * @param whenDown  called, once for each outage, when the Temporal server is found to be down
 */
export function startRelay(
  { database, polar }: { database: Database; polar: Polar },
  temporal: TemporalClient,
  whenDown: () => void,
): Relay {
  let stopped = false;
  let misses = 0;
  const running = (async () => {
    while (!stopped) {
      try {
        // Not claimed while Temporal is down: their pauses would grow for nothing.
        misses = (await temporal.isReachable()) ? 0 : misses + 1;
        if (misses === missesWhenDown) whenDown();
        if (misses === 0) while (!stopped && (await relayBatch(database, temporal)) === batch);
      } catch (error) {
        if (!stopped && mayLog('events'))
          log.error({ err: error }, 'The relay could not signal stored events; it tries again');
      }
      if (!stopped) await setTimeout(pollEvery);
    }
  })();
  const resolving = (async () => {
    while (!stopped) {
      try {
        while (!stopped && (await resolveTeamlessEvents(database, polar)));
      } catch (error) {
        if (!stopped && mayLog('parked events'))
          log.error({ err: error }, 'Parked events could not be resolved; the relay tries again');
      }
      if (!stopped) await setTimeout(pollEvery);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await Promise.all([running, resolving]);
    },
  };
}

/** Events of one team go with one signal: Temporal refuses a workflow's signals beyond a number. */
async function relayBatch(database: Database, temporal: TemporalClient): Promise<number> {
  const events = await claimDueEvents(database, batch);
  const byTeam = Map.groupBy(events, ({ teamId }) => teamId);
  await Promise.all(
    [...byTeam].map(async ([teamId, ofTeam]) => {
      const [first, ...more] = ofTeam.map(({ event }) => event);
      if (first === undefined) return;
      try {
        await temporal.call(signalPatience, (client) => signalInboxEvents(client, teamId, [first, ...more]));
      } catch (error) {
        const { reason, unreachable } = explainSignalFailure(error);
        if (mayLog(teamId)) {
          const events = ofTeam.length;
          log.warn(
            { teamId, events, reason },
            'Events could not be signalled to their team’s workflow; sent again',
          );
        }
        // What Temporal refuses keeps the pause that grew when it was claimed.
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
