import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { deliverDueMessages } from '../../outbox/deliver-due-messages.ts';
import { storeMessages } from '../../outbox/messages.ts';
import { createPostMessage } from '../../outbox/post-message.ts';
import { pruneOutbox } from '../../outbox/prune-outbox.ts';
import { signalEndpoints } from '../../outbox/signal-endpoints.ts';
import { listWebhookDeliveries, replayWebhookDeliveries } from '../../outbox/webhook-deliveries.ts';
import {
  changeWebhookEndpoint,
  createWebhookEndpoint,
  findWebhookEndpoint,
  readWebhookSecrets,
  resealWebhookSecrets,
  rotateWebhookSecret,
} from '../../outbox/webhook-endpoints.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { insertTeam } from '../setup/insert-team.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';
import { type Receiver, startReceiver } from './receiver.ts';

const signingKeys = [Buffer.alloc(32, 7)];
const post = createPostMessage({ allowPrivate: ['127.0.0.1'] });
const start = new Date('2026-03-10T12:00:00Z');
const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;

const { testDatabase, database } = useTestDatabase({ pool: 12 });
let clock: SettableClock;
let receiver: Receiver;
let endpointId: string;
beforeAll(async () => {
  clock = await settableClock(testDatabase.url, start);
});
beforeEach(async () => {
  await clock.set(start);
  receiver = await startReceiver();
  ({ id: endpointId } = await addEndpoint(receiver.url));
  receiver.secret = await secretOf(endpointId);
});
afterEach(async () => {
  await database.pool.query(
    'update webhook_endpoints set deleted_at = billing_now() where deleted_at is null',
  );
  await receiver.stop();
});

const addEndpoint = (url: string, teamId: string | null = null) =>
  database.transaction((em) => createWebhookEndpoint(em, signingKeys, { url, teamId }));
const secretOf = async (id: string) => (await readWebhookSecrets(database.fork(), signingKeys, id))[0];

const newTeam = () => insertTeam(database.pool);
/** Stores numbered messages of a team. */
const store = (teamId: string, ...numbers: number[]) =>
  database.transaction((em) =>
    storeMessages(
      em,
      numbers.map((n) => ({ type: 'credits.exhausted', data: { teamId, available: String(n) } })),
      clock.now(),
    ),
  );
const deliver = (id = endpointId) =>
  deliverDueMessages(database, id, { post, signingKeys, signal: new AbortController().signal });
const numbersOf = (teamId: string) =>
  receiver.received.filter((one) => one.teamId === teamId).map(({ data }) => Number(data.available));
const deliveries = async (id = endpointId) =>
  (await listWebhookDeliveries(database.fork(), id, { limit: 100 })).data;
const advance = (ms: number) => clock.set(new Date(clock.now().getTime() + ms));

test('messages are delivered in order per team, and of up to ten teams at once', async () => {
  const teams = await Promise.all(Array.from({ length: 15 }, newTeam));
  for (const n of [1, 2, 3]) for (const teamId of teams) await store(teamId, n);
  // The first posts are answered when ten are open.
  const tenAreOpen = Promise.withResolvers<void>();
  receiver.answer = async () => {
    if (receiver.received.length >= 10) tenAreOpen.resolve();
    await tenAreOpen.promise;
    return 204;
  };
  expect(await deliver()).toBeNull();
  for (const teamId of teams) expect(numbersOf(teamId)).toEqual([1, 2, 3]);
  expect(receiver.mostAtOnce).toBe(10);
});

test('if a delivery cannot be recorded, no other message of its round is sent again by the next one', async () => {
  const teams = await Promise.all(Array.from({ length: 40 }, newTeam));
  for (const teamId of teams) await store(teamId, 1);
  const { rows } = await database.pool.query('select id from outbox where team_id = $1', [teams[0]]);
  await database.pool.query(`
    create function fail() returns trigger language plpgsql as $$ begin raise 'out of order'; end $$;
    create trigger fail before update on webhook_deliveries for each row
      when (old.message_id = '${rows[0].id}') execute function fail()`);
  await expect(deliver()).rejects.toThrow('out of order');
  await database.pool.query('drop trigger fail on webhook_deliveries; drop function fail()');
  await deliver();
  expect(teams.map((teamId) => numbersOf(teamId).length)).toEqual([2, ...Array(39).fill(1)]);
});

test('a team whose message fails waits for its retry, and the other teams do not', async () => {
  const [slow, quick] = [await newTeam(), await newTeam()];
  receiver.answer = ({ teamId, data }) => (teamId === slow && data.available === '1' ? 500 : 204);
  await store(slow, 1, 2);
  await store(quick, 3, 4);
  const nextAt = await deliver();
  expect([numbersOf(slow), numbersOf(quick)]).toEqual([[1], [3, 4]]);
  const pauseMs = (nextAt?.getTime() ?? 0) - start.getTime();
  expect(pauseMs).toBeGreaterThanOrEqual(4.5 * second);
  expect(pauseMs).toBeLessThanOrEqual(5.5 * second);
  await advance(4 * second);
  await deliver();
  expect(numbersOf(slow)).toEqual([1]);
  receiver.answer = () => 204;
  await advance(2 * second);
  await deliver();
  expect(numbersOf(slow)).toEqual([1, 1, 2]);
  const [first, again] = receiver.received.filter(({ teamId }) => teamId === slow);
  expect(again?.id).toBe(first?.id);
});

test('after eight attempts a message has failed, the next ones go on, and it can be replayed', async () => {
  const teamId = await newTeam();
  receiver.answer = ({ data }) => (data.available === '1' ? 503 : 204);
  await store(teamId, 1, 2);
  const pauses = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
  for (const [index, pause] of pauses.entries()) {
    await advance(1.1 * pause * second);
    await deliver();
    expect(numbersOf(teamId).filter((n) => n === 1)).toHaveLength(index + 1);
  }
  expect(numbersOf(teamId).slice(-2)).toEqual([1, 2]);
  expect(await deliveries()).toMatchObject([
    { status: 'delivered', attempts: 1, lastStatus: 204 },
    { status: 'failed', attempts: 8, lastStatus: 503, nextAttemptAt: null },
  ]);
  receiver.answer = () => 204;
  expect(await database.transaction((em) => replayWebhookDeliveries(em, endpointId, { since: start }))).toBe(
    1,
  );
  await deliver();
  expect(numbersOf(teamId).at(-1)).toBe(1);
  const [delivered] = await deliveries();
  const messageId = delivered?.messageId ?? '';
  expect(await database.transaction((em) => replayWebhookDeliveries(em, endpointId, { messageId }))).toBe(1);
  await deliver();
  expect(numbersOf(teamId).at(-1)).toBe(2);
});

test('an endpoint that answers 410 is disabled, with notice to the others, and keeps its messages', async () => {
  const teamId = await newTeam();
  const other = await startReceiver();
  const { id: otherId } = await addEndpoint(other.url);
  other.secret = await secretOf(otherId);
  receiver.answer = () => 410;
  await store(teamId, 1, 2);
  expect(await deliver()).toBeNull();
  expect(numbersOf(teamId)).toEqual([1]);
  expect(await findWebhookEndpoint(database.fork(), endpointId)).toMatchObject({ disabledReason: 'gone' });
  await deliver(otherId);
  expect(other.received.map(({ type }) => type).sort()).toEqual([
    'credits.exhausted',
    'credits.exhausted',
    'webhook_endpoint.disabled',
  ]);
  await other.stop();
  await store(teamId, 3);
  receiver.answer = () => 204;
  await database.transaction((em) => changeWebhookEndpoint(em, endpointId, { enabled: true }));
  await deliver();
  expect(numbersOf(teamId)).toEqual([1, 1, 2, 3]);
});

test('an endpoint that fails for five days is disabled once; one success in between starts the time again', async () => {
  const teamId = await newTeam();
  const isDisabled = async () => (await findWebhookEndpoint(database.fork(), endpointId)).disabledReason;
  receiver.answer = () => 500;
  for (let n = 1; n <= 4; n += 1) {
    await store(teamId, n);
    await deliver();
    await advance(day);
  }
  receiver.answer = () => 204;
  await deliver();
  receiver.answer = () => 500;
  for (let n = 0; n <= 10; n += 1) {
    expect(await isDisabled()).toBeNull();
    await store(teamId, 10 + n);
    await deliver();
    if (n < 10) await advance(12 * hour);
  }
  expect(await isDisabled()).toBe('failing');
  const { rows } = await database.pool.query(
    `select data from outbox where type = 'webhook_endpoint.disabled' and data ->> 'endpointId' = $1`,
    [endpointId],
  );
  expect(rows).toEqual([{ data: { endpointId, url: receiver.url, reason: 'failing' } }]);
});

test('an endpoint of one team gets the messages of that team', async () => {
  const [mine, theirs] = [await newTeam(), await newTeam()];
  const { id } = await addEndpoint(receiver.url, mine);
  receiver.secret = await secretOf(id);
  await store(theirs, 1);
  await store(mine, 2);
  await deliver(id);
  expect(receiver.received.map(({ teamId }) => teamId)).toEqual([mine]);
});

test('for a day after a rotation, messages are signed with both secrets', async () => {
  const teamId = await newTeam();
  const old = receiver.secret;
  await database.transaction((em) => rotateWebhookSecret(em, signingKeys, endpointId));
  await store(teamId, 1);
  await deliver();
  receiver.secret = await secretOf(endpointId);
  await store(teamId, 2);
  await deliver();
  expect(numbersOf(teamId)).toEqual([1, 2]);
  await advance(day);
  receiver.secret = old;
  await store(teamId, 3);
  await deliver();
  expect([numbersOf(teamId), receiver.refused]).toEqual([[1, 2], 1]);
});

test('an endpoint whose signal fails delays no other endpoint, and is signalled again', async () => {
  await database.pool.query('update webhook_deliveries set signalled = true');
  const [busy, other] = [await newTeam(), await newTeam()];
  // More than are read at once.
  await store(busy, ...Array.from({ length: 1_001 }, (_, n) => n));
  const { id: otherId } = await addEndpoint(receiver.url, other);
  await store(other, 1);

  const signalled: string[] = [];
  const refusing = async (id: string) => {
    if (id === endpointId) throw new Error('refused');
    signalled.push(id);
  };
  await expect(signalEndpoints(database, refusing)).rejects.toThrow('refused');
  await expect(signalEndpoints(database, refusing)).rejects.toThrow('refused');
  expect(signalled).toEqual([otherId]);

  const all = () => signalEndpoints(database, async (id) => void signalled.push(id));
  for (let round = 1; round <= 3; round += 1) await all();
  expect(signalled).toEqual([otherId, endpointId, endpointId]);
});

test('WEBHOOK_SIGNING_KEY is replaced without a new secret, and the old key is then not needed', async () => {
  const teamId = await newTeam();
  await database.transaction((em) => rotateWebhookSecret(em, signingKeys, endpointId)); // two secrets
  const newer = Buffer.alloc(32, 8);
  const read = (keys: Buffer[]) => readWebhookSecrets(database.fork(), keys, endpointId);
  const secrets = await read(signingKeys);
  expect(secrets).toHaveLength(2);
  await expect(read([newer])).rejects.toThrow('No key of WEBHOOK_SIGNING_KEY');
  const both = [newer, ...signingKeys];
  expect(await read(both)).toEqual(secrets);
  await store(teamId, 1);
  await deliverDueMessages(database, endpointId, {
    post,
    signingKeys: both,
    signal: new AbortController().signal,
  });
  expect([numbersOf(teamId), receiver.refused]).toEqual([[1], 0]);
  expect(await resealWebhookSecrets(database, both)).toBe(1);
  expect(await resealWebhookSecrets(database, both)).toBe(0);
  expect(await read([newer])).toEqual(secrets);
});

test('an endpoint whose secret no key opens is an error, and the others are encrypted again', async () => {
  const lost = await database.transaction((em) =>
    createWebhookEndpoint(em, [Buffer.alloc(32, 1)], { url: receiver.url, teamId: null }),
  );
  const last = await addEndpoint(receiver.url);
  const newer = Buffer.alloc(32, 9);
  await expect(resealWebhookSecrets(database, [newer, ...signingKeys])).rejects.toThrow(lost.id);
  for (const id of [endpointId, last.id])
    expect(await readWebhookSecrets(database.fork(), [newer], id)).toHaveLength(1);
});

test('old messages are deleted when every endpoint got them, and those that wait or have failed are kept', async () => {
  const keptMs = 90 * day;
  const prune = () => pruneOutbox(database.pool, keptMs);
  const stored = async (teamId: string) => {
    const { rows } = await database.pool.query<{ n: number }>(
      `select (data ->> 'available')::int as n from outbox where team_id = $1 order by seq`,
      [teamId],
    );
    return rows.map(({ n }) => n);
  };
  const [fine, stuck, failing] = [await newTeam(), await newTeam(), await newTeam()];
  receiver.answer = ({ teamId }) => (teamId === fine ? 204 : 500);
  await store(fine, 1);
  await store(stuck, 2);
  await store(failing, 3);
  await deliver();
  await database.pool.query(
    `update webhook_deliveries set status = 'failed' where message_id in (select id from outbox where team_id = $1)`,
    [failing],
  );
  await advance(keptMs);
  await store(fine, 4);
  await prune();
  expect(await stored(fine)).toEqual([1, 4]);
  await advance(second);
  await deliver();
  await prune();
  expect([await stored(fine), await stored(stuck), await stored(failing)]).toEqual([[4], [2], [3]]);
  expect((await deliveries()).filter(({ teamId }) => teamId === fine)).toHaveLength(1);
  await database.pool.query('update webhook_endpoints set deleted_at = billing_now() where id = $1', [
    endpointId,
  ]);
  await prune();
  expect([await stored(stuck), await stored(failing)]).toEqual([[], []]);
});
