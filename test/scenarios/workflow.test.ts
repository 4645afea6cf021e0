import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { loadCatalog } from '../../catalog/load-catalog.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { connectDatabase } from '../../database/connection.ts';
import { startPart } from '../../dev/part.ts';
import { signUp } from '../../teams/sign-up.ts';
import { installRuntime } from '../../worker/install-runtime.ts';
import { bundleWorkflows, startWorker } from '../../worker/start-worker.ts';
import { inboxEventSignal, signalInboxEvents, teamWorkflowId } from '../../workflows/messages.ts';
import { createTestDatabase } from '../setup/database.ts';
import { startDevelopmentServer } from '../setup/temporal.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function aStory(begins: string): Promise<Story> {
  const story = await startStory(begins);
  cleanUp.push(() => story.stop());
  return story;
}

/** Makes the database fail, with an error that is not one of our refusals, whenever an event of this type is marked as handled. */
const poison = (story: Story, type: string) =>
  story.database.pool.query(`
    create function poison() returns trigger language plpgsql as $$ begin raise exception 'poisoned'; end $$;
    create trigger poison before update on inbox for each row
      when (new.type = '${type}' and new.status = 'handled') execute function poison()`);

test('an event that always fails is parked as stuck, and delays neither expiry nor later events', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  await poison(story, 'customer.deleted');
  await story.advanceTo('2040-01-30T23:59:50Z');
  await story.deliver({ type: 'customer.deleted', timestamp: null, data: { id: 'x', external_id: team } });
  const state = async () => (await story.inbox(team)).find(({ type }) => type === 'customer.deleted');
  // The trial expires ten seconds later, while the event is still retried.
  await story.skipTo('2040-01-31T00:00:00Z');
  await until(async () => {
    const { rows } = await story.database.pool.query(
      'select expired from grants where team_id = $1 and available = 0 and expired > 0',
      [team],
    );
    return rows[0];
  });
  expect((await state())?.status).toBe('received');

  await story.skipTo('2040-01-31T00:11:00Z');
  await until(async () => (await state())?.status === 'parked');
  expect(await state()).toMatchObject({ parkedCode: 'stuck', outcome: expect.stringContaining('poisoned') });

  await story.buy(team, 'pack_1000');
  expect(await story.balance(team)).toMatchObject({ available: '1000' });
  await story.database.pool.query('drop trigger poison on inbox');
  await story.database.pool.query(
    `update inbox set next_signal_at = clock_timestamp() where status = 'parked'`,
  );
  await until(async () => (await state())?.status === 'handled');
  await expectSoundLedger(story.database.pool);
});

test('a stuck event that is retried does not delay its team for another ten minutes', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  await poison(story, 'customer.deleted');
  await story.deliver({ type: 'customer.deleted', timestamp: null, data: { id: 'x', external_id: team } });
  await story.skipTo('2040-01-01T00:11:00Z');
  const state = async () => (await story.inbox(team)).find(({ type }) => type === 'customer.deleted');
  await until(async () => (await state())?.parkedCode === 'stuck');

  await story.database.pool.query(
    `update inbox set next_signal_at = clock_timestamp() where status = 'parked'`,
  );
  await story.buy(team, 'pack_1000');
  expect(await story.balance(team)).toMatchObject({ available: '1500' });
  expect(await state()).toMatchObject({ status: 'parked', parkedCode: 'stuck' });
});

test('after a restore of the database, events that are open again are applied again, once', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  await story.database.pool.query(
    `update inbox set status = 'received', handled_at = null, next_signal_at = clock_timestamp() where type = 'order.paid'`,
  );
  await story.settle();
  expect(await story.balance(team)).toMatchObject({ available: '1500' });
  await expectSoundLedger(story.database.pool);
});

test('a user’s fourth team gets no trial, also after another user becomes its owner', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  await story.signUp('ada');
  await story.signUp('grace');
  const teams: string[] = [];
  for (let made = 0; made < 3; made += 1) {
    teams.push(await story.foundTeam('ada', 'Team'));
  }
  const fourth = teams[2] ?? '';
  expect(await story.balance(fourth)).toMatchObject({ available: '0' });
  await story.call('PUT', `/v1/teams/${fourth}/members/grace`, { role: 'owner' });
  await story.call('PUT', `/v1/teams/${fourth}/members/ada`, { role: 'member' });
  await story.loseTemporal();
  await signalInboxEvents(story.temporal, fourth, [{ inboxId: uuidv7(), type: 'nothing' }]);
  await story.buy(fourth, 'pack_1000');
  expect(await story.balance(fourth)).toMatchObject({ available: '1000', bySource: { trial: '0' } });
});

test('held credits that are released after the deadline was set expire on time', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  const { id } = await story.call<{ id: string }>('POST', `/v1/teams/${team}/holds`, {
    action: 'workflow.run',
    credits: '500',
  });
  await story.deliver({ type: 'customer.deleted', timestamp: null, data: { id: 'x', external_id: team } });
  await story.settle();
  await story.call('POST', `/v1/holds/${id}/release`);
  await story.advanceTo('2040-02-01T00:00:00Z');
  expect((await story.balance(team)).grants).toMatchObject([{ available: '0', expired: '500' }]);
});

test('an event that needs Polar while Polar fails delays no payment of its team', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  const [pack] = await story.ordersOf(team);
  const product = await story.productOf('pack_5000');
  await story.control('/faults', { target: 'webhooks', mode: 'lost', type: 'order.refunded', times: 5 });
  await story.control('/faults', { target: 'webhooks', mode: 'lost', type: 'order.updated', times: 50 });
  await story.control('/faults', { target: 'api', times: 10_000, status: 500 });
  await story.control(`/orders/${pack?.id}/refund`, { amount: 600 });
  await story.emulator.idle();
  const refund = async () => (await story.inbox(team)).find(({ type }) => type === 'refund.created');
  await until(async () => (await refund())?.status === 'received');

  const data = { ...pack, id: crypto.randomUUID(), product_id: product, product: null };
  await story.deliver({ type: 'order.paid', timestamp: '2040-01-01T00:00:03Z', data });
  await until(async () => (await story.balance(team)).available === '6500');
  expect((await refund())?.status).toBe('received');

  await story.control('/faults/clear');
  await story.skipTo('2040-01-01T00:05:00Z');
  await until(async () => (await story.balance(team)).available === '6000');
});

test('an event that the database can never store is parked at once, and delays no other event', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  await story.database.pool.query(`
    create function out_of_range() returns trigger language plpgsql as $$ begin perform 1 / 0; return new; end $$;
    create trigger out_of_range before update on inbox for each row
      when (new.type = 'customer.deleted' and new.status = 'handled') execute function out_of_range()`);
  await story.deliver({ type: 'customer.deleted', timestamp: null, data: { id: 'x', external_id: team } });
  await until(async () =>
    (await story.inbox(team)).some(
      ({ type, parkedCode }) => type === 'customer.deleted' && parkedCode === 'stuck',
    ),
  );
  await story.buy(team, 'pack_1000');
  expect(await story.balance(team)).toMatchObject({ available: '1500' });
});

test('a payment overtakes a burst of a subscription’s states, only the newest is applied, and nothing is logged as wrong', async () => {
  const story = await startStory('2040-01-01T00:00:00Z', { restarts: true });
  cleanUp.push(() => story.stop());
  const team = await story.signUp('ada');
  await story.buy(team, 'starter_monthly');
  const subscription = await story.polar.subscriptions.get(await story.subscriptionOf(team));
  await story.worker.stop();
  const burst = 1_500;
  for (let sent = 0; sent < burst; sent += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => {
        const stateAt = new Date(Date.UTC(2040, 0, 1, 1, 0, sent + index)).toISOString();
        const data = { ...subscription, modified_at: stateAt, metadata: { team_id: team } };
        return story.deliver({ type: 'subscription.updated', timestamp: stateAt, data });
      }),
    );
  }
  await story.control(`/checkouts/${await story.checkOut(team, 'pack_1000')}/pay`);
  await story.emulator.idle();

  const warnings: string[] = [];
  const worker = await startPart({
    name: 'worker',
    command: process.execPath,
    args: [join(import.meta.dirname, 'worker-process.ts')],
    env: story.workerVariables, // LOG_LEVEL=warn
    saysReady: true,
    onLine: (line) => {
      // Temporal's core logs the features that its test server lacks.
      if (!line.includes('temporalio_sdk_core')) warnings.push(line);
    },
  });
  cleanUp.push(() => worker.stop());
  await until(async () => {
    const { rows } = await story.database.pool.query(`select from inbox where status = 'received' limit 1`);
    return rows.length === 0;
  }, 240_000);
  const { rows } = await story.database.pool.query<{ superseded: number; later: number }>(
    `select count(*) filter (where outcome like 'Superseded%')::int as superseded,
            count(*) filter (where type = 'subscription.updated' and handled_at < paid.at
                               and outcome not like 'Superseded%' and received_at > bought.at)::int as later
       from inbox,
            (select max(handled_at) as at from inbox where type = 'order.paid') as paid,
            (select min(handled_at) as at from inbox where type = 'order.paid') as bought`,
  );
  // Signals reach the workflow in a few groups. One state of each group is applied.
  expect(rows[0]?.superseded).toBeGreaterThan(0.9 * burst);
  expect(rows[0]?.later).toBeLessThan(0.1 * burst);
  expect(await story.balance(team)).toMatchObject({ available: '3500' });
  expect(warnings).toEqual([]);
}, 360_000);

test('invalid signals change nothing and stop no workflow', async () => {
  const story = await aStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  const handle = story.temporal.workflow.getHandle(teamWorkflowId(team));
  await handle.signal(inboxEventSignal, { inboxId: 'not a uuid', type: 'order.paid' });
  await handle.signal('inboxEvent', null);
  await handle.signal('inboxEvent', { inboxId: uuidv7() });
  await handle.signal('inboxEvents', { inboxId: uuidv7(), type: 'order.paid' });
  await story.buy(team, 'pack_1000');
  expect(await story.balance(team)).toMatchObject({ available: '1500' });
});

test('continue-as-new under a burst of 5,000 signals loses no event', async () => {
  const testDatabase = await createTestDatabase();
  cleanUp.push(() => testDatabase.drop());
  installRuntime();
  const database = await connectDatabase(testDatabase.url);
  cleanUp.push(() => database.close());
  await publishCatalog(
    database,
    loadCatalog(new URL('../../catalog/catalog.yaml', import.meta.url).pathname),
  );
  // A server that suggests continue-as-new early, so that the burst crosses it.
  const environment = await startDevelopmentServer({
    config: { 'limit.historyCount.suggestContinueAsNew': 1_000 },
  });
  cleanUp.push(() => environment.teardown());
  const worker = await startWorker(
    {
      databaseUrl: testDatabase.url,
      temporal: { address: environment.address, namespace: 'default' },
      polar: { accessToken: 'none', server: 'http://127.0.0.1:1', webhookSecrets: [] },
    },
    { workflowBundle: await bundleWorkflows() },
  );
  cleanUp.push(() => worker.stop());

  const ada = { id: 'ada', email: 'ada@example.com', name: 'ada' };
  const { team } = await signUp(database, ada, { kind: 'service', keyId: 'test' });
  // No relay runs, because it would signal a lost event again and so hide the loss.
  const { rows: events } = await database.pool.query<{ id: string }>(
    `insert into inbox (id, team_id, source, type, payload, occurred_at, status, next_signal_at)
     select uuidv7(), $1, 'operator', 'nothing', '{}', billing_now(), 'received', '9999-01-01' from generate_series(1, 5000)
     returning id`,
    [team.id],
  );
  for (let sent = 0; sent < events.length; sent += 100) {
    const some = events.slice(sent, sent + 100);
    await Promise.all(
      some.map(({ id }) =>
        signalInboxEvents(environment.client, team.id, [{ inboxId: id, type: 'nothing' }]),
      ),
    );
  }
  await until(async () => {
    const { rows } = await database.pool.query(
      `select from inbox where type = 'nothing' and status <> 'handled' limit 1`,
    );
    return rows.length === 0;
  }, 480_000);
  const runs: string[] = [];
  for await (const { runId } of environment.client.workflow.list()) runs.push(runId);
  console.log(`5,000 signals at once went through ${runs.length} runs of the workflow`);
  expect(runs.length).toBeGreaterThan(1);
  const { rows } = await database.pool.query('select sum(granted) as granted from grants');
  expect(rows).toEqual([{ granted: '500000000' }]);
}, 600_000);
