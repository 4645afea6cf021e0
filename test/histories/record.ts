/**
 * Records the histories beside this file, which `replay.test.ts` replays against today's workflows:
 *
 *     node test/histories/record.ts
 *
 * To be run when a workflow gains something that no recorded history shows. Recorded files are never changed afterwards
 * and never deleted while workflows of their time may still run: they are what such workflows will replay. Each recording
 * goes to a folder of its own, named after the day (or the name given as an argument).
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { publishCatalog } from '../../catalog/versions.ts';
import { connectDatabase } from '../../database/connection.ts';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import { signUp } from '../../teams/sign-up.ts';
import { bundleWorkflows, startWorker } from '../../worker/start-worker.ts';
import { retryUpdate, signalInboxEvents, taskQueue, teamWorkflowId } from '../../workflows/messages.ts';
import { reconcileType } from '../../workflows/schedules.ts';
import { startStory, until } from '../scenarios/story.ts';
import { createTestDatabase } from '../setup/database.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import globalSetup from '../setup/global-setup.ts';
import globalTeardown from '../setup/global-teardown.ts';
import { startDevelopmentServer } from '../setup/temporal.ts';

const folder = join(import.meta.dirname, process.argv[2] ?? new Date().toISOString().slice(0, 10));

await globalSetup();
try {
  await mkdir(folder, { recursive: true });
  await recordStory();
  await recordContinueAsNew();
} finally {
  await globalTeardown();
}
process.exit(0);

/** Sign-up, a pack, a subscription that renews, upgrades and is cancelled, a refund, a dispute, a yearly plan, a deletion. */
async function recordStory(): Promise<void> {
  const story = await startStory('2040-01-31T10:00:00Z');
  try {
    const reconcile = async (): Promise<void> => {
      await story.clock.set(new Date(story.clock.now().getTime() + 180_000));
      const workflowId = 'reconcile';
      await story.temporal.workflow.execute(reconcileType, { taskQueue, workflowId, args: [{}] });
      await story.settle();
    };
    const ada = await story.signUp('ada');
    await story.buy(ada, 'pack_1000');
    await story.buy(ada, 'starter_monthly');
    await story.advanceTo('2040-03-01T12:00:00Z');
    await story.call('POST', `/v1/teams/${ada}/subscription/change`, { plan: 'pro_monthly' });
    await story.settle();
    await story.advanceTo('2040-05-01T00:00:00Z');
    const [pack] = await story.ordersOf(ada);
    await story.control(`/orders/${pack?.id}/refund`, { amount: 300 });
    await story.settle();
    await story.control(`/orders/${pack?.id}/dispute`, {});
    await reconcile();
    await story.control(`/subscriptions/${await story.subscriptionOf(ada)}/cancel`);
    await story.settle();
    const { body } = await story.deliver({ type: 'order.paid', data: { metadata: { team_id: ada } } });
    await story.settle();
    const team = story.temporal.workflow.getHandle(teamWorkflowId(ada));
    await team.executeUpdate(retryUpdate, { args: [{ inboxId: String(body.id), by: 'operator' }] });
    await story.advanceTo('2040-07-01T00:00:00Z');
    await save(story.temporal, teamWorkflowId(ada), 'team-with-a-monthly-plan');
    await save(story.temporal, 'reconcile', 'reconcile');

    const bob = await story.signUp('bob');
    await story.buy(bob, 'pro_yearly');
    await story.advanceTo('2040-09-02T00:00:00Z');
    await save(story.temporal, teamWorkflowId(bob), 'team-with-a-yearly-plan');
  } finally {
    await story.stop();
  }
}

/** A burst of events, on a server that suggests continue-as-new early. */
async function recordContinueAsNew(): Promise<void> {
  const testDatabase = await createTestDatabase();
  const database = await connectDatabase(testDatabase.url);
  await publishCatalog(database, defaultCatalog);
  const environment = await startDevelopmentServer({
    config: { 'limit.historyCount.suggestContinueAsNew': 40 },
  });
  const worker = await startWorker(
    {
      databaseUrl: testDatabase.url,
      temporal: { address: environment.address, namespace: 'default' },
      polar: { accessToken: 'none', server: 'http://127.0.0.1:1', webhookSecrets: [] },
    },
    { workflowBundle: await bundleWorkflows() },
  );
  try {
    const ada = { id: 'ada', email: 'ada@example.com', name: 'ada' };
    const { team } = await signUp(database, ada, { kind: 'service', keyId: 'test' });
    const first = async () => {
      for await (const run of environment.client.workflow.list({
        query: `WorkflowId = '${teamWorkflowId(team.id)}'`,
      }))
        if (run.status.name === 'CONTINUED_AS_NEW') return run.runId;
      return null;
    };
    await until(async () => {
      const { event } = await database.transaction((em) =>
        storeInboxEvent(em, {
          teamId: team.id,
          source: 'operator',
          type: 'nothing',
          externalId: null,
          payload: {},
        }),
      );
      await signalInboxEvents(environment.client, team.id, [event]);
      return first();
    });
    // A history that ended in the middle of a local activity would have it run again.
    await until(async () => {
      const { rows } = await database.pool.query(`select from inbox where status <> 'handled'`);
      return rows.length === 0;
    });
    await setTimeout(1_000);
    await save(
      environment.client,
      teamWorkflowId(team.id),
      'team-that-continues-as-new',
      (await first()) ?? '',
    );
    await save(environment.client, teamWorkflowId(team.id), 'team-that-was-continued');
  } finally {
    await worker.stop();
    await environment.teardown();
    await database.close();
    await testDatabase.drop();
  }
}

/** Of this machine and of who recorded it nothing is kept. */
async function save(client: Client, workflowId: string, name: string, runId?: string): Promise<void> {
  const { History } = proto.temporal.api.history.v1;
  const fetched = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const plain = History.toObject(History.fromObject(fetched), {
    longs: String,
    enums: String,
    bytes: String,
  });
  const history: unknown = JSON.parse(JSON.stringify(plain), (key, value) => {
    if (key === 'identity') return 'recorder';
    // A worker's own queue is named after its process and its machine.
    return key === 'name' && typeof value === 'string' ? value.replace(`@${hostname()}`, '@recorder') : value;
  });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify({ workflowId, history })}\n`);
  console.log(`recorded ${name}: ${workflowId}`);
}
