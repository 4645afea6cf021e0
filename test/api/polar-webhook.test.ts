import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { signWebhook, useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();
let teamId: string;
beforeAll(async () => {
  ({ teamId } = await api.person('ada'));
});
beforeEach(async () => {
  await api.database.pool.query(`delete from inbox where source = 'polar'`);
});

const event = (type: string, data: object) =>
  JSON.stringify({ type, timestamp: '2026-01-31T12:00:00Z', data });
const paid = () =>
  event('order.paid', { id: 'order-1', metadata: { team_id: teamId }, a_field_of_tomorrow: [1] });

function deliver(body: string, headers: Record<string, string> = signWebhook(body)) {
  return api.sendRaw('POST', '/v1/webhooks/polar', { as: null, key: null, body, headers });
}

async function stored() {
  const { rows } = await api.database.pool.query(
    `select type, status, parked_code, team_id, external_id from inbox where source = 'polar' order by id`,
  );
  return rows;
}

test('a signed event is stored and answered while Temporal is down', async () => {
  const body = paid();
  const headers = signWebhook(body);
  expect(await deliver(body, headers)).toMatchObject({ status: 202, json: { stored: true } });
  expect(await stored()).toEqual([
    {
      type: 'order.paid',
      status: 'received',
      parked_code: null,
      team_id: teamId,
      external_id: headers['webhook-id'],
    },
  ]);
});

test.each<[string, (body: string) => Record<string, string>]>([
  ['no signature', () => ({})],
  ['a signature by another secret', (body) => signWebhook(body, { secret: 'whsec_Zm9yZ2Vk' })],
  ['a signature over another body', (body) => signWebhook(`${body} `)],
  ['one that is six minutes old', (body) => signWebhook(body, { at: new Date(Date.now() - 360_000) })],
  ['one that is six minutes ahead', (body) => signWebhook(body, { at: new Date(Date.now() + 360_000) })],
])('an event with %s is 401 and not stored', async (_, sign) => {
  const body = paid();
  expect(await deliver(body, sign(body))).toMatchObject(refusal(401, 'bad_signature'));
  expect(await stored()).toEqual([]);
});

test.each(['0000-01-01T00:00:00Z', '+010000-01-01T00:00:00Z', 'yesterday'])(
  'an event of %s is stored as of when it was sent',
  async (timestamp) => {
    const body = JSON.stringify({
      type: 'order.paid',
      timestamp,
      data: { id: 'order-1', metadata: { team_id: teamId } },
    });
    expect((await deliver(body)).status).toBe(202);
    expect(await stored()).toMatchObject([{ status: 'received', team_id: teamId }]);
  },
);

test('an event without data is stored and parked as unreadable', async () => {
  for (const body of ['{"type":"order.paid"}', '{"type":"refund.created","data":7}'])
    expect((await deliver(body)).status).toBe(202);
  const { rows } = await api.database.pool.query('select parked_code from inbox where team_id is null');
  expect(rows).toEqual(Array(2).fill({ parked_code: 'unreadable_event' }));
});

test('a signed body that is not an event is 400', async () => {
  for (const body of ['[]', '{"type":7}', 'hello']) {
    expect(await deliver(body)).toMatchObject(refusal(400, 'unreadable_event'));
  }
  expect(await stored()).toEqual([]);
});

test('a webhook without its three headers, or with a stale timestamp, is refused before its body is read', async () => {
  const stale = signWebhook('{}', { at: new Date(Date.now() - 360_000) });
  const { 'webhook-id': _, ...withoutId } = signWebhook('{}');
  for (const headers of [{}, withoutId, stale]) {
    const socket = await beginWebhook(headers, 1_000_000);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 401 /);
    socket.destroy();
  }
});

test('a signed webhook of 8 MiB is stored, a larger one is 413', async () => {
  const [fits, isTooLarge] = [8_388_608, 8_388_609].map((bytes) => {
    const empty = event('customer.state_changed', { note: '' });
    return empty.replace('""', JSON.stringify('y'.repeat(bytes - empty.length)));
  });
  expect((await deliver(fits ?? '')).status).toBe(202);
  expect(await deliver(isTooLarge ?? '')).toMatchObject(refusal(413, 'body_too_large'));
});

test('unfinished webhooks use at most 64 MiB: the oldest are closed, a complete one is still stored', async () => {
  const part = Buffer.alloc(8_000_000, 'x');
  const senders: Socket[] = [];
  const cut = new Set<number>();
  for (const index of Array(12).keys()) {
    const socket = await beginWebhook(signWebhook('forged'), part.length + 1);
    socket.on('close', () => cut.add(index));
    senders.push(socket);
    await new Promise((resolve) => socket.write(part, resolve));
  }
  while (cut.size < 4) await new Promise((resolve) => setTimeout(resolve, 20));
  expect([...cut].sort()).toEqual([0, 1, 2, 3]);
  expect((await deliver(paid())).status).toBe(202);
  for (const socket of senders) socket.destroy();
});

/** Sends the headers of a webhook without a body. */
async function beginWebhook(headers: Record<string, string>, lengthBytes: number): Promise<Socket> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.on('error', () => {});
  const lines = Object.entries({ host: 'localhost', 'content-length': String(lengthBytes), ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.write(`POST /v1/webhooks/polar HTTP/1.1\r\n${head}\r\n`);
  return socket;
}
