import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { type EmulatedShop, openShop, typesOf } from './emulated-shop.ts';

let shop: EmulatedShop;
beforeEach(async () => {
  shop = await openShop('2026-01-10T00:00:00Z');
});
afterEach(() => shop.stop());

const settled = () => shop.emulator.idle({ retries: true });

test('a webhook has Polar’s envelope, and its own time', async () => {
  await shop.buy(shop.pack);
  const [, created, updated, paid] = shop.receiver.received;
  expect(paid?.event).toMatchObject({
    type: 'order.paid',
    api_version: '2026-10',
    data: { metadata: { team_id: 'team-1' } },
  });
  const times = [created, updated, paid].map((webhook) => webhook?.event.timestamp ?? '');
  expect(new Set(times).size).toBe(3);
  expect([...times].sort()).toEqual(times);
});

test('a failed webhook is sent again with the same id, after later ones', async () => {
  await shop.stop();
  shop = await openShop('2026-01-10T00:00:00Z', { retryScale: 0.1 });
  shop.receiver.failFirstUntil(5); // at any speed: the pauses of its ten attempts add up to more than a minute
  await shop.buy(shop.pack);
  await settled();
  expect(shop.receiver.types()).toEqual(
    typesOf('order.created, updated, paid, checkout.updated, order.updated, checkout.updated'),
  );
  expect(shop.receiver.received.at(-1)?.id).toBe(shop.receiver.seen[0]);
});

test('a redirect is a failure', async () => {
  shop.receiver.failNext(302);
  await shop.buy(shop.pack);
  await settled();
  expect(shop.receiver.seen).toHaveLength(7);
  const { items } = await shop.polar.webhooks.listWebhookDeliveries({ succeeded: false });
  expect(items).toMatchObject([{ http_code: 302, webhook_event: { type: 'checkout.updated' } }]);
});

test('at most ten attempts are made', async () => {
  shop.receiver.failNext(...Array(10).fill(503));
  await shop.control('/faults', { target: 'webhooks', mode: 'lost', times: 5 });
  await shop.buy(shop.pack);
  await settled();
  expect(shop.receiver.seen).toHaveLength(10);
  expect(shop.receiver.received).toHaveLength(0);
});

test('a webhook is redelivered with its id, even if it had arrived', async () => {
  await shop.buy(shop.pack);
  const paid = shop.receiver.received.find(({ event }) => event.type === 'order.paid');
  await shop.polar.webhooks.redeliverWebhookEvent(paid?.id ?? '');
  await shop.emulator.idle();
  expect(shop.receiver.received.at(-1)).toEqual(paid);
});

test('ten failed events in a row disable the endpoint, and later events are never sent', async () => {
  shop.receiver.failNext(...Array(200).fill(500));
  for (let buys = 0; buys < 3; buys++) await shop.buy(shop.pack);
  await settled();
  expect(await shop.polar.webhooks.getWebhookEndpoint(shop.endpoint.id)).toMatchObject({ enabled: false });
  await shop.buy(shop.pack);
  shop.receiver.recover();
  await shop.polar.webhooks.updateWebhookEndpoint(shop.endpoint.id, { enabled: true });
  await settled();
  expect(shop.receiver.received).toHaveLength(0);
  await shop.buy(shop.pack);
  expect(shop.receiver.types()).toContain('order.paid');
});

test('a new secret signs later webhooks', async () => {
  const { secret } = await shop.polar.webhooks.resetWebhookEndpointSecret(shop.endpoint.id);
  expect(secret).toMatch(/^whsec_/);
  expect(secret).not.toBe(shop.receiver.secret);
  shop.receiver.secret = secret;
  await shop.buy(shop.pack);
  expect(shop.receiver.types()).toContain('order.paid');
});

test('webhooks are lost, duplicated, reversed and held back on demand', async () => {
  await shop.control('/faults', { target: 'webhooks', mode: 'lost', type: 'order.created' });
  await shop.control('/faults', { target: 'webhooks', mode: 'duplicate', type: 'order.paid' });
  const first = await shop.typesDuring(() => shop.buy(shop.pack));
  expect(first).toEqual(
    typesOf('checkout.updated, order.updated, paid, paid, checkout.updated, order.updated'),
  );
  expect(shop.receiver.received[2]?.id).toBe(shop.receiver.received[3]?.id);

  await shop.control('/faults', { target: 'webhooks', mode: 'reorder', times: 4 });
  const second = await shop.typesDuring(() => shop.buy(shop.pack));
  expect(second.filter((type) => type.startsWith('order'))).toEqual(
    typesOf('order.updated, paid, updated, created'),
  );

  await shop.control('/faults', { target: 'webhooks', mode: 'hold', times: 6 });
  expect(await shop.typesDuring(() => shop.buy(shop.pack))).toEqual([]);
  expect(await shop.typesDuring(() => shop.control('/webhooks/release'))).toHaveLength(6);
});

test('what happens at a set time in the past is dated then, and answered instead of sent', async () => {
  const setTime = async (at: string | null) =>
    z
      .object({ events: z.array(z.object({ type: z.string(), timestamp: z.string() })) })
      .parse(await shop.control('/time', { at })).events;

  expect(await setTime('2025-10-10T00:00:00Z')).toEqual([]);
  const sent = await shop.typesDuring(() => shop.buy(shop.starter));
  expect(sent).toEqual([]);
  expect(await shop.control('/renew-due')).toEqual({ done: 0 });
  const events = await setTime('2025-11-10T00:00:00Z');
  expect(events.map(({ type }) => type)).toContain('order.paid');
  expect(new Set(events.map(({ timestamp }) => timestamp.slice(0, 10)))).toEqual(new Set(['2025-10-10']));

  expect(await shop.control('/renew-due')).toEqual({ done: 1 });
  await setTime(null);
  const { items } = await shop.polar.subscriptions.list({});
  expect(items.map(({ current_period_end }) => current_period_end)).toEqual(['2025-12-10T00:00:00.000Z']);
  expect(await shop.typesDuring(() => shop.moveTo('2026-01-10T00:00:00Z'))).toContain('order.paid');
});
