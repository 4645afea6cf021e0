import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import {
  type BillingClient,
  BillingProblem,
  BillingUnavailable,
  type Credentials,
  createBillingClient,
} from '../../client/index.ts';
import { firstKey, type RunningApi, startApi } from '../api/running-api.ts';
import { type Fault, type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts';

let api: RunningApi;
let proxy: FaultyProxy;
let billing: BillingClient;
let teamId: string;
beforeAll(async () => {
  api = await startApi();
  proxy = await startFaultyProxy(api.url);
  billing = client({ serviceKey: firstKey });
});
beforeEach(async () => {
  ({ teamId } = await api.person());
  await api.give(teamId, '100');
  proxy.requests.length = 0;
});
afterAll(async () => {
  await proxy.stop();
  await api.stop();
});

function client(credentials: Credentials, maxAttempts = 5): BillingClient {
  return createBillingClient({ baseUrl: proxy.url, credentials, retry: { maxAttempts } });
}

const body = { action: 'workflow.run', quantities: { runs: 1 } };
const inTeam = () => ({ params: { path: { teamId } } });
const spend = () => billing.POST('/v1/teams/{teamId}/usage', { ...inTeam(), body });
const available = async () => (await billing.GET('/v1/teams/{teamId}/balance', inTeam())).available;

test('a call returns its typed answer', async () => {
  const receipt = await spend();
  expect(await available()).toBe(receipt.balance.available);
  expect(await billing.GET('/v1/catalog')).toMatchObject({ priceVersion: receipt.priceVersion });
});

test('a refusal is thrown as a problem with its code, its details and the id of the request', async () => {
  const expensive = { action: 'workflow.run', quantities: { runs: 1_000_000 } };
  const refused = await billing
    .POST('/v1/teams/{teamId}/usage', { ...inTeam(), body: expensive })
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(BillingProblem);
  expect(refused).toMatchObject({
    code: 'insufficient_credits',
    status: 402,
    retriable: false,
    problem: { available: '100', required: expect.any(String) },
    requestId: expect.stringMatching(/^[\da-f-]{36}$/),
  });
  expect(proxy.requests).toHaveLength(1);
});

const faults: Fault[] = [
  'lose request',
  'lose answer',
  'cut answer',
  { status: 429, retryAfter: '0' },
  { status: 503, retryAfter: new Date(0).toUTCString() },
  { status: 503 },
];
test.each(faults)(
  'after the fault %j a request is sent again under the same key, and is done once',
  async (fault) => {
    proxy.faults.push(fault, fault);
    const receipt = await spend();
    expect(proxy.requests).toHaveLength(3);
    expect(new Set(proxy.requests.map(({ key }) => key)).size).toBe(1);
    expect(await available()).toBe(receipt.balance.available);
    expect(await recorded()).toEqual([receipt.id]);
  },
);

test('retries end: without an answer the caller learns the key under which to ask again', async () => {
  const impatient = client({ serviceKey: firstKey }, 2);
  proxy.faults.push('lose answer', 'lose answer');
  const lost = await impatient
    .POST('/v1/teams/{teamId}/usage', { ...inTeam(), body })
    .catch((error: unknown) => error);
  if (!(lost instanceof BillingUnavailable)) throw lost;
  const header = { 'Idempotency-Key': lost.idempotencyKey ?? '' };
  const receipt = await billing.POST('/v1/teams/{teamId}/usage', {
    params: { path: { teamId }, header },
    body,
  });
  expect(await recorded()).toEqual([receipt.id]);
});

test('a wait that Retry-After makes longer than the limit is not begun, and the caller learns the key', async () => {
  proxy.faults.push({ status: 503, retryAfter: '3600' });
  const refused = await spend().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(BillingUnavailable);
  expect(proxy.requests).toHaveLength(1);
  expect(refused).toMatchObject({ idempotencyKey: proxy.requests[0]?.key ?? 'a key was sent' });
});

test('an aborted call ends with the reason of its signal', async () => {
  const controller = new AbortController();
  proxy.decide = () => {
    controller.abort(new Error('the user left'));
    return { status: 503 };
  };
  const call = billing.GET('/v1/teams/{teamId}/balance', { ...inTeam(), signal: controller.signal });
  await expect(call).rejects.toThrow('the user left');
  proxy.decide = () => undefined;
});

test('a list is read to its end, page by page', async () => {
  const receipts = [];
  for (let index = 0; index < 5; index += 1) receipts.push((await spend()).id);
  expect(await recorded({ limit: 2 })).toEqual(receipts.reverse());
  expect(proxy.requests.filter(({ method }) => method === 'GET')).toHaveLength(3);
});

test('a token may be a function, which is called for each attempt', async () => {
  const { token, teamId: own } = await api.person();
  const tokens = ['expired', token];
  const person = client({ token: async () => tokens.shift() ?? '' });
  proxy.faults.push({ status: 503 });
  const balance = await person.GET('/v1/teams/{teamId}/balance', { params: { path: { teamId: own } } });
  expect(balance.available).toBe('0');
  expect(proxy.requests.map(({ authorization }) => authorization).slice(-2)).toEqual([
    'Bearer expired',
    `Bearer ${token}`,
  ]);
});

test('an answer that is not JSON is fetched with the same credentials', async () => {
  await spend();
  const csv = await billing.fetch(`/v1/teams/${teamId}/usage?groupBy=action`, {
    headers: { accept: 'text/csv' },
  });
  expect(await csv.text()).toContain('workflow.run');
});

async function recorded(query: { limit?: number } = {}): Promise<string[]> {
  const ids = [];
  const params = { path: { teamId }, query };
  for await (const { id } of billing.list('/v1/teams/{teamId}/usage/events', { params })) ids.push(id);
  return ids;
}
