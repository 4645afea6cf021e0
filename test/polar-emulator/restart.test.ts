import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createPolar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

const ready = z.object({ ready: z.literal(true), url: z.url() });
let dataDir: string;
let receiver: WebhookReceiver;
let children: ChildProcess[];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'polar-emulator-'));
  receiver = await startWebhookReceiver();
  children = [];
});
afterEach(async () => {
  for (const child of children) await end(child, 'SIGKILL');
  await receiver.stop();
  rmSync(dataDir, { recursive: true });
});

async function start(environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['polar-emulator/main.ts'], {
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      EMULATOR_DATA_DIR: dataDir,
      EMULATOR_ACCESS_TOKEN: 't',
      EMULATOR_LOOPBACK_WEBHOOKS: 'true',
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  children.push(child);
  const [message] = await once(child, 'message');
  const { url } = ready.parse(message);
  return { child, url, polar: createPolar({ accessToken: 't', baseUrl: url }) };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal);
    await once(child, 'exit');
  }
  return child.exitCode;
}

test('a killed emulator restarts with everything that it had answered, and continues its webhooks', async () => {
  const first = await start();
  const endpoint = await first.polar.webhooks.createWebhookEndpoint({
    url: receiver.url,
    format: 'raw',
    events: ['customer.created'],
  });
  receiver.secret = endpoint.secret;
  receiver.failNext(500);
  const customer = await first.polar.customers.create({ email: 'ada@example.com' });
  while (receiver.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await end(first.child, 'SIGKILL');
  appendFileSync(join(dataDir, 'state.jsonl'), '[["customers","cut sho');

  const second = await start();
  expect(await second.polar.customers.get(customer.id)).toEqual(customer);
  while (receiver.received.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(receiver.received).toMatchObject([{ id: receiver.seen[0], event: { data: { id: customer.id } } }]);
});

test('SIGTERM ends it cleanly', async () => {
  const { child } = await start();
  expect(await end(child, 'SIGTERM')).toBe(0);
});

test('it ends when its parent’s channel closes', async () => {
  const { child } = await start();
  child.disconnect();
  await once(child, 'exit');
  expect(child.exitCode).toBe(0);
});

test('it does not start in production', async () => {
  const child = spawn(process.execPath, ['polar-emulator/main.ts'], {
    env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production', EMULATOR_ACCESS_TOKEN: 't' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  await once(child, 'exit');
  expect([child.exitCode, said]).toEqual([1, expect.stringContaining('does not run in production')]);
});
