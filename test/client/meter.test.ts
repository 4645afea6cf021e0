import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseDecimal } from '../../catalog/credits.ts';
import { createBillingClient, createMeter, type MeterOptions, MeterRefused } from '../../client/index.ts';
import { freePort } from '../../dev/free-port.ts';
import { firstKey, type RunningApi, startApi } from '../api/running-api.ts';
import { spawnApi } from '../api/spawn-api.ts';
import { type Fault, type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts';

let api: RunningApi;
let proxy: FaultyProxy;
let teamIds: string[];
beforeAll(async () => {
  api = await startApi();
  proxy = await startFaultyProxy(api.url);
});
beforeEach(async () => {
  teamIds = await Promise.all([1, 2, 3].map(async () => (await api.person()).teamId));
  for (const teamId of teamIds) await api.give(teamId, '1000');
  proxy.requests.length = 0;
});
afterEach(() => {
  proxy.decide = () => undefined;
});
afterAll(async () => {
  await proxy.stop();
  await api.stop();
});

const billing = () =>
  createBillingClient({
    baseUrl: proxy.url,
    credentials: { serviceKey: firstKey },
    retry: { maxAttempts: 8, firstBackoffMs: 2 },
  });
const meterOf = (options?: MeterOptions) => createMeter(billing(), options);
const teamOf = (index: number) => teamIds[index % teamIds.length] ?? '';
const run = (teamId: string, runs = 1) => ({ teamId, action: 'workflow.run', quantities: { runs } });
const batches = () => proxy.requests.filter(({ path }) => path === '/v1/usage/batch').length;

test('callers who spend at the same time share a batch, and each gets its own receipt', async () => {
  const meter = meterOf();
  const receipts = await Promise.all([1, 2, 3, 4].map((runs) => meter.spend(run(teamOf(runs), runs))));
  expect(receipts.map(({ lines }) => lines[0]?.quantity)).toEqual(['1', '2', '3', '4']);
  expect(receipts[0]).not.toHaveProperty('status');
  expect(batches()).toBe(1);
  await meter.close();
});

test('a refusal is thrown to its caller and nobody else', async () => {
  const meter = meterOf();
  const [good, poor, unknown] = await Promise.allSettled([
    meter.spend(run(teamOf(0))),
    meter.spend(run(teamOf(1), 1_000_000_000)),
    meter.spend({ ...run(teamOf(2)), action: 'no.such.action' }),
  ]);
  expect(good).toMatchObject({ status: 'fulfilled' });
  expect(poor).toMatchObject({ reason: { code: 'insufficient_credits' } });
  expect(unknown).toMatchObject({ reason: { code: 'unknown_action' } });
  expect(batches()).toBe(1);
});

test('a usage that cannot be JSON is refused before it joins a batch', async () => {
  const meter = meterOf();
  const [good, bad] = await Promise.allSettled([
    meter.spend(run(teamOf(0))),
    meter.spend({ ...run(teamOf(0)), metadata: { amount: 1n } }),
  ]);
  expect([good.status, bad.status]).toEqual(['fulfilled', 'rejected']);
  await meter.close();
});

test('a usage with half a character, from a text that was cut, is refused alone', async () => {
  const meter = meterOf();
  const [good, cut, keyless] = await Promise.allSettled([
    meter.spend(run(teamOf(0))),
    meter.spend({ ...run(teamOf(1)), metadata: { prompt: '😀'.slice(0, 1) } }),
    meter.spend({ ...run(teamOf(2)), idempotencyKey: undefined }),
  ]);
  expect([good, keyless]).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
  expect(cut).toMatchObject({ reason: { code: 'invalid_request' } });
  expect(batches()).toBe(1);
  await meter.close();
});

test('more usages than the limit are refused, until the others have their answer', async () => {
  const meter = meterOf({ maxPending: 2 });
  const two = [meter.spend(run(teamOf(0))), meter.spend(run(teamOf(0)))];
  await expect(meter.spend(run(teamOf(0)))).rejects.toMatchObject({ reason: 'full' });
  await Promise.all(two);
  await meter.spend(run(teamOf(0)));
});

test('close sends what waits, and then nothing more is accepted', async () => {
  const meter = meterOf({ gatherMs: 3_600_000 });
  const first = meter.spend(run(teamOf(0)));
  while (batches() === 0) await new Promise(setImmediate);
  const second = meter.spend(run(teamOf(1))); // waits for the answer of the first
  await meter.close();
  await expect(Promise.all([first, second])).resolves.toHaveLength(2);
  await expect(meter.spend(run(teamOf(0)))).rejects.toThrow(MeterRefused);
});

test('a lone caller after a crowd does not wait', async () => {
  const meter = meterOf({ gatherMs: 3_600_000 });
  await Promise.all([meter.spend(run(teamOf(0))), meter.spend(run(teamOf(1)))]);
  await meter.spend(run(teamOf(0)));
  expect(batches()).toBe(2);
});

test('many callers are in two batches, and a team is in one of them', async () => {
  const meter = meterOf({ gatherMs: 3_600_000 });
  const teams = [...Array(24).fill(0), ...Array(12).fill(1), ...Array(12).fill(2)];
  await Promise.all(teams.map((index) => meter.spend(run(teamOf(index)))));
  expect(batches()).toBe(2);
  await Promise.all(teams.map(() => meter.spend(run(teamOf(0)))));
  expect(batches()).toBe(3);
});

test('callers who spend again after the answers of a batch share the next one', async () => {
  const meter = meterOf({ gatherMs: 3_600_000 });
  const spendTwice = async (teamId: string) => {
    for (let count = 0; count < 2; count += 1) await meter.spend(run(teamId));
  };
  await Promise.all(teamIds.map(spendTwice));
  expect(batches()).toBe(2);
});

test('while a commit is refused as busy, its usages are sent again, and the others are answered', async () => {
  const meter = meterOf();
  let locked: Promise<unknown> | undefined;
  await api.database.transaction(async (em) => {
    await em.execute('select 1 from teams where id = ? for update', [teamOf(0)]);
    locked = meter.spend(run(teamOf(0)));
    const other = meter.spend(run(teamOf(1)));
    await expect(other).resolves.toHaveProperty('id');
  });
  await expect(locked).resolves.toHaveProperty('id');
  expect(batches()).toBeGreaterThan(1);
  await meter.close();
});

test('whatever happens to the requests, every usage is answered once and recorded once, in order per team', async () => {
  const fault = fc.constantFrom<Fault>(
    'lose request',
    'lose answer',
    'cut answer',
    { status: 503, retryAfter: '0' },
    { status: 429, retryAfter: '0' },
  );
  const spend = fc.record({ team: fc.nat(2), pauseTurns: fc.nat(3) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(spend, { minLength: 1, maxLength: 60 }),
      fc.array(fault, { maxLength: 6 }),
      fc.integer({ min: 1, max: 3 }),
      async (spends, faults, maxConcurrentBatches) => {
        const before = await Promise.all(teamIds.map(events));
        proxy.faults.push(...faults);
        const meter = meterOf({ maxConcurrentBatches, gatherMs: 1 });
        const answers = [];
        for (const { team, pauseTurns } of spends) {
          const teamId = teamOf(team);
          answers.push(meter.spend(run(teamId)).then(({ id, balance }) => ({ teamId, id, balance })));
          for (let turn = 0; turn < pauseTurns; turn += 1) await new Promise(setImmediate);
        }
        const receipts = await Promise.all(answers);
        await meter.close();
        proxy.faults.length = 0;
        for (const [index, teamId] of teamIds.entries()) {
          const own = receipts.filter((receipt) => receipt.teamId === teamId);
          const recorded = (await events(teamId)).filter((id) => !before[index]?.includes(id));
          expect(recorded.toSorted()).toEqual(own.map(({ id }) => id).toSorted());
          // In the order of the calls each receipt has a lower balance than the one before.
          const balances = own.map(({ balance }) => parseDecimal(balance.available));
          expect(balances).toEqual(balances.toSorted((a, b) => (a < b ? 1 : -1)));
        }
      },
    ),
    { numRuns: 20 },
  );
});

test('an API process that is killed in between: every usage is answered, and each is recorded once', async () => {
  const port = await freePort();
  let program = await startProgram(port);
  const retry = { maxAttempts: 60, firstBackoffMs: 100, maxTotalMs: 120_000 };
  const url = `http://127.0.0.1:${port}`;
  const direct = createBillingClient({ baseUrl: url, credentials: { serviceKey: firstKey }, retry });
  const meter = createMeter(direct, { gatherMs: 1 });
  let answered = 0;
  let killed: Promise<void> | undefined;
  const caller = async (index: number) => {
    const ids: string[] = [];
    for (let count = 0; count < 12; count += 1) {
      ids.push((await meter.spend(run(teamOf(index)))).id);
      answered += 1;
      if (answered === 60) killed = killAndRestart();
    }
    return ids;
  };
  const killAndRestart = async () => {
    // With a batch in flight: each caller that has its answer has sent its next usage.
    await new Promise(setImmediate);
    program.kill('SIGKILL');
    await once(program, 'exit');
    program = await startProgram(port);
  };
  const ids = (await Promise.all(Array.from({ length: 12 }, (_, index) => caller(index)))).flat();
  await killed;
  await meter.close();
  program.kill('SIGKILL');
  const recorded = (await Promise.all(teamIds.map(events))).flat();
  expect(recorded.toSorted()).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(144);
});

async function startProgram(port: number): Promise<ChildProcess> {
  const operationsPort = await freePort();
  const program = spawnApi({ port, operationsPort, databaseUrl: api.applicationUrl });
  await once(program, 'message');
  return program;
}

async function events(teamId: string): Promise<string[]> {
  const ids = [];
  const params = { path: { teamId }, query: { limit: 100 } };
  for await (const { id } of billing().list('/v1/teams/{teamId}/usage/events', { params })) ids.push(id);
  return ids;
}
