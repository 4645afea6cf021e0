import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePort } from '../../dev/free-port.ts';
import { untilWaitingForLock } from '../setup/lock-waits.ts';
import { firstKey, type RunningApi, signWebhook, startApi } from './running-api.ts';
import { createSend, type Send } from './send.ts';
import { spawnApi } from './spawn-api.ts';

/** The API as a separate process, on a Postgres that can be stopped, with Temporal down. */
const wire = {
  server: createServer(),
  sockets: new Set<Socket>(),
  target: new URL('tcp://127.0.0.1'),
  port: 0,
};

const usage = { action: 'workflow.run', quantities: { runs: 1 } };

let api: RunningApi;
let program: ChildProcess;
let url: string;
let send: Send;
let operationsUrl: string;
let operationsPort: number;
let teamId: string;

beforeAll(async () => {
  api = await startApi();
  ({ teamId } = await api.person('ada'));
  await api.give(teamId, '10');
  wire.target = new URL(api.applicationUrl);
  wire.server = await openWire();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  send = createSend(url, firstKey);
  operationsPort = await freePort();
  operationsUrl = `http://127.0.0.1:${operationsPort}`;
  program = start(port);
  expect(await once(program, 'message')).toEqual([{ ready: true }, undefined]);
});

afterAll(async () => {
  program.kill('SIGKILL');
  cut();
  await api.stop();
});

test('a second API on the same port reports it in one line and ends', async () => {
  const second = start(Number(new URL(url).port));
  let said = '';
  second.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(second, 'close');
  expect(code).toBe(1);
  expect(said.trim()).toMatch(/^.*port \(PORT\) is in use.*$/);
});

test('a second API on the same operations port takes a free one', async () => {
  const port = await freePort();
  const second = start(port);
  expect(await once(second, 'message')).toEqual([{ ready: true }, undefined]);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  second.kill('SIGKILL');
});

test('an API that takes real payments signs nobody in without a password, even if NODE_ENV was forgotten', async () => {
  expect((await fetch(`${url}/dev/sign-in`)).status).toBe(200);
  const port = await freePort();
  const real = start(port, 'production');
  expect(await once(real, 'message')).toEqual([{ ready: true }, undefined]);
  expect((await fetch(`http://127.0.0.1:${port}/dev/sign-in`)).status).toBe(404);
  real.kill('SIGKILL');
});

test('outside production the API listens on the loopback interface only', async () => {
  const others = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  for (const { address, family, internal } of others) {
    if (internal || family !== 'IPv4') continue;
    for (const here of [url, operationsUrl]) {
      await expect(fetch(`http://${address}:${new URL(here).port}/healthz`)).rejects.toThrow('fetch failed');
    }
  }
});

test('while Postgres is down every request is 503 and may be sent again; when it is back, requests succeed', async () => {
  const spend = () => send('POST', `/v1/teams/${teamId}/usage`, { body: usage, key: 'same' });
  const event = JSON.stringify({ type: 'order.paid', data: { id: 'o', metadata: { team_id: teamId } } });
  const headers = { 'content-type': 'application/json', ...signWebhook(event) };
  const deliver = async () => {
    const reply = await fetch(`${url}/v1/webhooks/polar`, { method: 'POST', headers, body: event });
    return { status: reply.status, headers: reply.headers, json: await reply.json() };
  };

  expect((await spend()).status).toBe(201);
  cut();
  for (const reply of [
    await spend(),
    await deliver(),
    await send('GET', `/v1/teams/${teamId}/balance`),
    await send('POST', '/v1/users', { body: { id: 'eve', email: 'eve@example.com', name: 'Eve' } }),
  ]) {
    expect(reply.status).toBe(503);
    expect(reply.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(reply.json).toMatchObject({
      code: expect.stringMatching(/^(database_unavailable|outcome_unknown)$/),
    });
  }
  expect((await send('GET', '/healthz')).status).toBe(200);
  expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({ postgres: 'unreachable' });
  const metrics = await fetch(`${operationsUrl}/metrics`);
  expect(metrics.status).toBe(200);
  const text = await metrics.text();
  expect(text).toMatch(/^billing_database_up 0$/m);
  expect(text).not.toMatch(/^billing_relay_lag_seconds \d/m);
  expect((await fetch(`${operationsUrl}/readyz`)).status).toBe(503);

  wire.server = await openWire(wire.port);
  expect((await deliver()).json).toMatchObject({ stored: true });
  expect((await spend()).json).toMatchObject({ balance: { available: '9.5' } });
});

test('on SIGTERM it answers requests in flight and ends', async () => {
  const ended = once(program, 'exit');
  const lock = await api.database.pool.connect();
  await lock.query('begin');
  await lock.query('select 1 from teams where id = $1 for update', [teamId]);
  const underWay = Promise.all([
    send('POST', `/v1/teams/${teamId}/usage`, { body: usage, key: 'late' }),
    send('PUT', `/v1/teams/${teamId}/members/ada`, { body: { role: 'owner' } }),
  ]);
  await untilWaitingForLock(api.database.pool, 2);
  program.kill('SIGTERM');
  await until(() =>
    fetch(`${url}/healthz`).then(
      () => false,
      () => true,
    ),
  );
  await lock.query('commit');
  lock.release();
  expect((await underWay).map(({ status }) => status)).toEqual([201, 200]);
  expect(await ended).toEqual([0, null]);
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function start(port: number, polarServer?: string): ChildProcess {
  const database = new URL(api.applicationUrl);
  database.port = String(wire.port);
  return spawnApi({
    port,
    operationsPort,
    databaseUrl: database.href,
    ...(polarServer ? { polarServer } : {}),
  });
}

async function openWire(port = 0): Promise<Server> {
  const server = createServer((socket) => {
    const onward = connect(Number(wire.target.port), wire.target.hostname);
    for (const end of [socket, onward]) {
      wire.sockets.add(end);
      end.on('error', () => {});
      end.on('close', () => wire.sockets.delete(end));
    }
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  if (address !== null && typeof address === 'object') wire.port = address.port;
  return server;
}

function cut(): void {
  wire.server.close();
  for (const socket of wire.sockets) socket.destroy();
}
