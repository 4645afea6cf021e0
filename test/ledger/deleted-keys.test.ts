import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { verifyLedger } from '../../ledger/verify/verify-ledger.ts';
import { deleteOldKeys } from '../../teams/delete-old-keys.ts';
import { useApi } from '../api/running-api.ts';
import { refusal } from '../api/send.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';

/** Usage with an `occurredAt` is debited once, however long ago its key was deleted. The policy is 90 days. */
const start = new Date('2026-03-10T12:00:00Z');
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

const api = useApi();
let clock: SettableClock;
let teamId: string;
beforeAll(async () => {
  clock = await settableClock(api.databaseUrl, start);
});
beforeEach(async () => {
  ({ teamId } = await api.person());
  await api.give(teamId, '10');
});

const spend = (key: string, occurredAt: Date, runs = 2) =>
  api.send('POST', `/v1/teams/${teamId}/usage`, {
    key,
    body: { action: 'workflow.run', quantities: { runs }, occurredAt: occurredAt.toISOString() },
  });
const after = (from: Date, milliseconds: number) => new Date(from.getTime() + milliseconds);
const available = async () => (await api.send('GET', `/v1/teams/${teamId}/balance`)).json;
const refused = refusal(422, 'occurred_at_out_of_range');

test('usage ahead of our clock is debited once: its key is kept until such usage is refused', async () => {
  const sent = clock.now();
  const ahead = after(sent, 5 * minuteMs);
  const first = await spend('ahead', ahead);
  expect(first).toMatchObject({ status: 201, json: { credits: '1' } });

  await clock.set(after(sent, 90 * dayMs + minuteMs));
  await deleteOldKeys(api.database.pool, 90 * dayMs);
  expect((await spend('ahead', ahead)).json).toEqual(first.json);

  await clock.set(after(ahead, 90 * dayMs));
  await deleteOldKeys(api.database.pool, 90 * dayMs);
  expect((await spend('ahead', ahead)).json).toEqual(first.json);

  await clock.set(after(ahead, 90 * dayMs + 1));
  await deleteOldKeys(api.database.pool, 90 * dayMs);
  expect(await spend('ahead', ahead)).toMatchObject(refused);
  expect(await available()).toMatchObject({ available: '9' });
});

test('if keys were deleted under a shorter policy, a longer one accepts no usage of that time', async () => {
  const sent = clock.now();
  await spend('early', sent);
  const later = after(sent, 5 * dayMs);
  await clock.set(later);
  const kept = await spend('kept', later);

  await clock.set(after(sent, 12 * dayMs));
  await deleteOldKeys(api.database.pool, 10 * dayMs);
  expect(await spend('early', sent)).toMatchObject({
    ...refused,
    json: { code: 'occurred_at_out_of_range', earliest: after(sent, 1).toISOString() },
  });
  expect(await spend('another-key', sent)).toMatchObject(refused);
  expect((await spend('kept', later)).json).toEqual(kept.json);
  expect(await spend('reported-late', after(sent, 1))).toMatchObject({ status: 201 });
  expect(await available()).toMatchObject({ available: '7' });
  const { findings } = await verifyLedger(api.database);
  expect(findings.filter(({ rule }) => rule === 'event-has-key')).toEqual([]);
});

test('deleting no keys, or keys of other requests, shortens no window', async () => {
  const sent = clock.now();
  await api.send('POST', `/v1/teams/${teamId}/holds`, { body: { action: 'workflow.run', credits: 1 } });
  await clock.set(after(sent, 30 * dayMs));
  await deleteOldKeys(api.database.pool, 20 * dayMs);
  expect(await spend('late', after(sent, dayMs))).toMatchObject({ status: 201 });
});
