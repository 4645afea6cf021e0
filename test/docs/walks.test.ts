import { randomUUID } from 'node:crypto';
import { Session } from 'node:inspector/promises';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from '@jest/globals';
import { type Activities, createActivities } from '../../activities/create-activities.ts';
import { signWebhook, useApi } from '../api/running-api.ts';
import { idOf } from '../api/send.ts';
import { type Buyer, paidCycle, paidOrder } from '../polar/payloads.ts';

const root = resolve(import.meta.dirname, '../..');
const api = useApi();
let activities: Activities;
beforeAll(async () => {
  const { database, polar } = api.dependencies;
  activities = createActivities({ database, polar });
});

async function newBuyer(): Promise<Buyer> {
  const { teamId } = await api.person();
  const customerId = randomUUID();
  const link = 'update teams set polar_customer_id = $2 where id = $1';
  await api.database.pool.query(link, [teamId, customerId]);
  return { teamId, customerId };
}

/**
 * Limits how many files a reader passes from a request to its row: those whose functions run, without entities and
 * workflows. If this fails, a path became longer: check that each file on it is a concept of its own.
 */
function expectAtMost(limit: number, files: readonly string[]): void {
  if (files.length > limit) throw new Error(`${files.length} files instead of ${limit}: ${files.join(' ')}`);
}

/** Our files of which at least one function was called by `work`. */
async function filesPassed(work: () => Promise<unknown>): Promise<string[]> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  await session.post('Profiler.takePreciseCoverage');
  await work();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  await session.post('Profiler.stopPreciseCoverage');
  session.disconnect();
  const called = result.filter(({ functions }) =>
    functions.some(({ functionName, ranges }) => functionName !== '' && (ranges[0]?.count ?? 0) > 0),
  );
  return called
    .map(({ url }) => relative(root, url.startsWith('file:') ? fileURLToPath(url) : url))
    .filter((file) => /^(api|activities|catalog|database|inbox|ledger|outbox|polar|teams)\//.test(file))
    .filter((file) => !file.startsWith('database/entities/'))
    .sort();
}

/** The files of a request or a step: its answer must contain `expected`. */
async function passing(expected: object, work: () => Promise<unknown>): Promise<string[]> {
  let answer: unknown;
  const files = await filesPassed(async () => {
    answer = await work();
  });
  expect(answer).toMatchObject(expected);
  return files;
}

function send(type: string, data: object) {
  const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data });
  return api.sendRaw('POST', '/v1/webhooks/polar', {
    as: null,
    key: null,
    body,
    headers: { 'content-type': 'application/json', ...signWebhook(body) },
  });
}

/** The webhook handler, then the step of its event. */
async function walk(
  step: 'fulfillPurchase' | 'startCycle' | 'clawBackOrder',
  type: string,
  data: { metadata: { team_id: string } } & Record<string, unknown>,
): Promise<string[]> {
  let inboxId = '';
  const received = await passing({ status: 202 }, async () => {
    const reply = await send(type, data);
    inboxId = idOf(reply);
    return reply;
  });
  const done = await passing({ lastDid: expect.stringContaining('Order') }, () =>
    activities[step](data.metadata.team_id, inboxId, 'inbox'),
  );
  return [...new Set([...received, ...done])];
}

/**
 * The shortest of three walks: meanwhile a pool may open a connection, or a timer may run. The first one also fills the
 * caches.
 */
async function shortest(walkOnce: () => Promise<string[]>): Promise<string[]> {
  const walks = [await walkOnce(), await walkOnce(), await walkOnce()];
  return walks.reduce((a, b) => (b.length < a.length ? b : a));
}

function spend(teamId: string, runs: number) {
  return api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { action: 'workflow.run', quantities: { runs } },
  });
}

test('a reported usage becomes a row of the ledger within 24 files', async () => {
  const { teamId } = await newBuyer();
  await api.give(teamId, '100');
  const files = await shortest(() => passing({ status: 201 }, () => spend(teamId, 1)));
  expectAtMost(24, files);
});

test('a paid pack becomes a grant within 27 files', async () => {
  const buyer = await newBuyer();
  const files = await shortest(() => walk('fulfillPurchase', 'order.paid', paidOrder(buyer, 'pack_1000')));
  expectAtMost(27, files);
});

test('a paid cycle becomes a grant within 38 files', async () => {
  const files = await shortest(async () => walk('startCycle', 'order.paid', paidCycle(await newBuyer())));
  expectAtMost(38, files);
});

test('a refund of spent credits becomes a debt within 30 files', async () => {
  const files = await shortest(async () => {
    const buyer = await newBuyer();
    const order = paidOrder(buyer, 'pack_1000');
    await walk('fulfillPurchase', 'order.paid', order);
    expect(await spend(buyer.teamId, 1)).toMatchObject({ status: 201 });
    const refunded = { refunded_amount: 1_200, modified_at: new Date(Date.now() + 1_000).toISOString() };
    const passed = await walk('clawBackOrder', 'order.refunded', { ...order, ...refunded });
    const owed = await api.database.pool.query('select owed from debts where team_id = $1', [buyer.teamId]);
    expect(owed.rowCount).toBe(1);
    return passed;
  });
  expectAtMost(30, files);
});
