import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readKeptMails } from '../../api/dev-mail.ts';
import { freePort } from '../../dev/free-port.ts';
import { startMailServer } from '../../dev/mail-server.ts';
import { startPart } from '../../dev/part.ts';
import { type Receiver, startReceiver } from '../outbox/receiver.ts';
import { type Story, startStory, until } from './story.ts';

const root = resolve(import.meta.dirname, '../..');

let story: Story;
let receiver: Receiver;
let mailPort: number;
beforeAll(async () => {
  mailPort = await freePort();
  const smtp = {
    host: '127.0.0.1',
    port: mailPort,
    tls: false,
    requireTls: false,
    user: undefined,
    password: undefined,
    from: { name: 'Waveloom', address: 'billing@waveloom.example' },
    operator: undefined,
    tokenSecret: 'token-secret-of-the-story-0123456789',
  };
  story = await startStory('2040-01-31T10:00:00.000Z', { restarts: true, smtp });
});
afterAll(() => story.stop());

async function addEndpoint(): Promise<string> {
  receiver = await startReceiver();
  const { id, secret } = await story.call<{ id: string; secret: string }>('POST', '/v1/webhook-endpoints', {
    url: receiver.url,
  });
  receiver.secret = secret;
  return id;
}
const spend = (teamId: string, runs: number) =>
  story.call('POST', `/v1/teams/${teamId}/usage`, { action: 'workflow.run', quantities: { runs } });
const pendingOf = async (endpointId: string) => {
  const { data } = await story.call<{ data: unknown[] }>(
    'GET',
    `/v1/webhook-endpoints/${endpointId}/deliveries?status=pending`,
  );
  return data.length;
};
const deliveryStatus = async (endpointId: string) =>
  (await story.temporal.workflow.getHandle(`webhook-endpoint/${endpointId}`).describe()).status.name;
const typesOf = (teamId: string) =>
  receiver.received.filter((one) => one.teamId === teamId).map(({ type }) => type);

test('an endpoint that is down for a day gets every message when it is back, in order per team', async () => {
  const endpointId = await addEndpoint();
  receiver.answer = () => 503;
  const [ada, bob] = [await story.signUp('ada'), await story.signUp('bob')];
  await spend(ada, 800); // of 500 credits 100 are left
  await spend(bob, 1_000); // none are left
  await until(async () => receiver.received.length >= 2);
  for (let hours = 4; hours < 24; hours += 4) {
    await story.skipTo(new Date(story.clock.now().getTime() + 4 * 3_600_000).toISOString());
    if (hours === 12) await story.buy(ada, 'pack_1000');
  }
  receiver.received = [];
  receiver.answer = () => 204;
  for (let hours = 0; hours < 24 && (await pendingOf(endpointId)) > 0; hours += 4) {
    await story.skipTo(new Date(story.clock.now().getTime() + 4 * 3_600_000).toISOString());
  }
  await until(async () => (await pendingOf(endpointId)) === 0);
  expect(typesOf(ada)).toEqual(['credits.granted', 'credits.low', 'credits.granted']);
  expect(typesOf(bob)).toEqual(['credits.granted', 'credits.low', 'credits.exhausted']);
  expect(receiver.refused).toBe(0);
  await until(async () => (await deliveryStatus(endpointId)) === 'COMPLETED'); // it waits for nothing
  await story.call('DELETE', `/v1/webhook-endpoints/${endpointId}`);
  await receiver.stop();
}, 120_000);

test('a message that a killed worker was sending is sent again with the same id', async () => {
  const endpointId = await addEndpoint();
  const team = await story.signUp('eve');
  await until(async () => receiver.received.length === 1);
  await story.worker.stop();
  const startWorkerProcess = () =>
    startPart({
      name: 'worker',
      command: process.execPath,
      args: [join(root, 'test/scenarios/worker-process.ts')],
      env: story.workerVariables,
      saysReady: true,
    });
  const doomed = await startWorkerProcess();
  receiver.answer = () => null; // the post stays open
  await spend(team, 800);
  await until(async () => receiver.received.length === 2, 60_000);
  process.kill(doomed.pid, 'SIGKILL');
  await doomed.exited;
  receiver.answer = () => 204;
  story.worker = await story.startWorker();
  await until(async () => {
    await story.skipTo(new Date(story.clock.now().getTime() + 1_000).toISOString());
    return (await pendingOf(endpointId)) === 0;
  }, 90_000);
  const [granted, first, again, ...more] = receiver.received;
  expect([granted?.type, first?.type, again?.type, more]).toEqual([
    'credits.granted',
    'credits.low',
    'credits.low',
    [],
  ]);
  expect(again?.id).toBe(first?.id);
  await receiver.stop();
}, 180_000);

test('an SMTP server that is down for hours gets each e-mail once when it is back, and spends go on', async () => {
  const team = await story.signUp('max');
  await spend(team, 800);
  const isPending = async () => {
    const { rows } = await story.database.pool.query(
      `select from emails where team_id = $1 and status = 'pending' and reason is not null`,
      [team],
    );
    return rows.length > 0;
  };
  await until(isPending, 60_000); // it was tried
  await story.skipTo(new Date(story.clock.now().getTime() + 6 * 3_600_000).toISOString());
  await spend(team, 200);
  const folder = await mkdtemp(join(tmpdir(), 'waveloom-mail-'));
  const server = await startMailServer({ port: mailPort, folder });
  const toMax = async () =>
    (await readKeptMails(folder))
      .filter(({ to }) => to.includes('max@example.com'))
      .map(({ subject }) => subject);
  await until(async () => {
    await story.skipTo(new Date(story.clock.now().getTime() + 60_000).toISOString());
    return (await toMax()).length >= 2;
  }, 90_000);
  const status = async () => (await story.temporal.workflow.getHandle('emails').describe()).status.name;
  await until(async () => {
    await story.skipTo(new Date(story.clock.now().getTime() + 60_000).toISOString());
    return (await status()) === 'COMPLETED';
  }, 60_000);
  expect((await toMax()).sort()).toEqual([
    'Credits of “Personal Team” are low',
    '“Personal Team” has no credits left',
  ]);
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}, 240_000);
