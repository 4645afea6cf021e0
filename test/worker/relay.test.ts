import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { createTemporalLink } from '../../api/temporal-link.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import { log } from '../../log.ts';
import { createPolarClient } from '../../polar/client.ts';
import { signUp } from '../../teams/sign-up.ts';
import { createTemporalClient } from '../../temporal-client.ts';
import { startRelay } from '../../worker/relay.ts';
import { teamWorkflowId } from '../../workflows/messages.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { startDevelopmentServer } from '../setup/temporal.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

/** A small number for the test; Temporal's own is 10,000. */
const mostSignals = 3;

const { database } = useTestDatabase({ pool: 4 });
let temporal: TestWorkflowEnvironment;
let client: Client;
beforeAll(async () => {
  await publishCatalog(database, defaultCatalog);
  temporal = await startDevelopmentServer({
    config: { 'history.maximumSignalsPerExecution': mostSignals },
  });
  client = temporal.client;
});
afterAll(() => temporal.teardown());

const actor = { kind: 'service', keyId: 'tests' } as const;

/** A team with this many due events in its inbox. */
async function teamWithEvents(count: number): Promise<string> {
  const id = `user_${randomUUID().slice(0, 8)}`;
  const { team } = await signUp(database, { id, email: `${id}@example.com`, name: id }, actor);
  await database.transaction(async (em) => {
    for (let i = 1; i < count; i++)
      await storeInboxEvent(em, {
        teamId: team.id,
        source: 'polar',
        type: 'order.updated',
        externalId: randomUUID(),
        payload: {},
      });
  });
  await makeDue(team.id);
  return team.id;
}

/** All at once: the relay skips rows that are locked, so it would claim only the others. */
async function makeDue(teamId: string): Promise<void> {
  await database.transaction(async (em) => {
    await em.execute('lock table inbox in exclusive mode');
    await em.execute('update inbox set next_signal_at = clock_timestamp() where team_id = ?', [teamId]);
  });
}

/** How often each event of the team was claimed, and how many are due again within a minute. */
async function claims(teamId: string): Promise<{ fewest: number; soon: number }> {
  const { rows } = await database.pool.query<{ fewest: number; soon: number }>(
    `select min(signals) as fewest, (count(*) filter (where next_signal_at < clock_timestamp() + interval '1 minute'))::int as soon
       from inbox where team_id = $1`,
    [teamId],
  );
  return rows[0] ?? { fewest: 0, soon: 0 };
}

/** gRPC's status code NOT_FOUND. */
const notFound = 5;

const inboxSignal = z.object({ more: z.array(z.unknown()).default([]) });

/** The number of events in each signal of the team's workflow. None while the first signal has not started it. */
async function eventsOfSignals(teamId: string): Promise<number[]> {
  try {
    const { events } = await client.workflow.getHandle(teamWorkflowId(teamId)).fetchHistory();
    const signals = (events ?? []).flatMap((event) => event.workflowExecutionSignaledEventAttributes ?? []);
    return signals.map(({ input }) => {
      const message = Buffer.from(input?.payloads?.[0]?.data ?? []).toString();
      return 1 + inboxSignal.parse(JSON.parse(message)).more.length;
    });
  } catch (error) {
    if (isGrpcServiceError(error) && error.code === notFound) return [];
    throw error;
  }
}

const signalsOf = async (teamId: string) => (await eventsOfSignals(teamId)).length;

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(50);
}

test('the events of a team are sent with one signal, and a team that Temporal refuses waits longer each time and logs one line', async () => {
  const warn = jest.spyOn(log, 'warn').mockImplementation(() => {});
  const busy = await teamWithEvents(40);
  const ofTemporal = createTemporalClient({ address: temporal.address, namespace: 'default' });
  const relay = startRelay(
    { database, polar: createPolarClient({ accessToken: 'polar_oat_nobody', server: 'http://127.0.0.1:1' }) },
    ofTemporal,
    () => {},
  );
  try {
    // Events that stay unhandled are due again after two seconds, so a slow machine may see more than one signal.
    await until(async () => (await signalsOf(busy)) >= 1);
    // After eight claims the pause is minutes, not half a second.
    await until(async () => {
      const { fewest, soon } = await claims(busy);
      if (fewest < 8) await makeDue(busy);
      return fewest >= 8 && soon === 0;
    });
    // No worker polls the queue, so the workflow accepts only this many signals.
    expect(await eventsOfSignals(busy)).toEqual(Array(mostSignals).fill(40));
    const lines = warn.mock.calls.filter(([fields]) => JSON.stringify(fields).includes(busy));
    expect(lines).toEqual([
      [{ teamId: busy, events: 40, reason: expect.stringContaining('limit') }, expect.any(String)],
    ]);

    const other = await teamWithEvents(5);
    await until(async () => (await signalsOf(other)) >= 1);
    expect((await eventsOfSignals(other))[0]).toBe(5);
  } finally {
    await relay.stop();
    await ofTemporal.close();
    warn.mockRestore();
  }
}, 60_000);

test('events that the API signals for a team during a signal go with the next one, and a refused team does not block others', async () => {
  const warn = jest.spyOn(log, 'warn').mockImplementation(() => {});
  const link = createTemporalLink({ address: temporal.address, namespace: 'default' });
  try {
    const [busy, other] = [randomUUID(), randomUUID()];
    for (let i = 0; i < 100; i++) link.signal(busy, { inboxId: randomUUID(), type: 'nothing' });
    await until(async () => (await signalsOf(busy)) >= 2);
    expect(await signalsOf(busy)).toBe(2);

    const lines = () => warn.mock.calls.filter(([fields]) => JSON.stringify(fields).includes(busy));
    while (lines().length === 0) {
      link.signal(busy, { inboxId: randomUUID(), type: 'nothing' });
      await setTimeout(50);
    }
    expect(await signalsOf(busy)).toBe(mostSignals);
    link.signal(busy, { inboxId: randomUUID(), type: 'nothing' });
    link.signal(other, { inboxId: randomUUID(), type: 'nothing' });
    await until(async () => (await signalsOf(other)) === 1);
    expect(lines()).toHaveLength(1);
  } finally {
    await link.close();
    warn.mockRestore();
  }
}, 60_000);
