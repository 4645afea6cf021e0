import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type EmulatedShop, openShop, typesOf } from './emulated-shop.ts';

let shop: EmulatedShop;
beforeEach(async () => {
  shop = await openShop('2026-04-01T00:00:00Z');
});
afterEach(() => shop.stop());

const lastWebhook = (type: string) =>
  shop.receiver.received.findLast(({ event }) => event.type === type)?.event.data;

test('lines come with their period or, as before September 2026, without those fields', async () => {
  await shop.settings({ item_timestamps: false });
  await shop.subscribe(shop.starter);
  const [line] = (await shop.newestOrder()).items;
  expect(Object.keys(line ?? {})).not.toContain('start_timestamp');
  expect(JSON.stringify(lastWebhook('order.paid'))).not.toContain('_timestamp');
  await shop.settings({ item_timestamps: true });
  await shop.moveTo('2026-05-01T00:00:00Z');
  expect((await shop.newestOrder()).items).toMatchObject([{ start_timestamp: '2026-05-01T00:00:00.000Z' }]);
  const { items } = await shop.polar.orders.list({ sorting: ['created_at'] });
  expect(JSON.stringify(items[0])).not.toContain('start_timestamp');
});

test('the end of a period moves in both directions, and the renewal follows it', async () => {
  const id = await shop.subscribe(shop.starter);
  await shop.polar.subscriptions.update(id, { current_billing_period_end: '2026-04-10T00:00:00Z' });
  await shop.moveTo('2026-04-10T00:00:00Z');
  expect((await shop.newestOrder()).items).toMatchObject([
    { start_timestamp: '2026-04-10T00:00:00.000Z', end_timestamp: '2026-05-10T00:00:00.000Z' },
  ]);
  await shop.polar.subscriptions.update(id, { current_billing_period_end: '2026-06-15T00:00:00Z' });
  expect(await shop.moveTo('2026-06-14T00:00:00Z')).toBe(0);
  expect(await shop.moveTo('2026-06-15T00:00:00Z')).toBe(1);
  expect((await shop.newestOrder()).items).toMatchObject([{ end_timestamp: '2026-07-15T00:00:00.000Z' }]);
});

test('a pending update keeps its time when the end of the period moves, and does not change modified_at', async () => {
  const id = await shop.subscribe(shop.pro);
  const before = await shop.polar.subscriptions.get(id);
  const pending = await shop.change(id, shop.starter, 'next_period');
  expect(pending.modified_at).toBe(before.modified_at);
  const moved = await shop.polar.subscriptions.update(id, {
    current_billing_period_end: '2026-04-20T00:00:00Z',
  });
  expect(moved.modified_at).not.toBe(before.modified_at);
  expect(moved.pending_update).toMatchObject({ applies_at: '2026-05-01T00:00:00.000Z' });
  await shop.moveTo('2026-04-20T00:00:00Z');
  expect(await shop.polar.subscriptions.get(id)).toMatchObject({
    product_id: shop.starter.id,
    current_period_start: '2026-05-01T00:00:00.000Z',
    pending_update: null,
  });
});

test('a trial given to an active subscription sets its end and not its start', async () => {
  const id = await shop.subscribe(shop.starter);
  const trial = await shop.polar.subscriptions.update(id, { trial_end: '2026-05-10T00:00:00Z' });
  expect(trial).toMatchObject({
    status: 'trialing',
    trial_start: null,
    trial_end: '2026-05-10T00:00:00.000Z',
    current_period_end: '2026-05-10T00:00:00.000Z',
  });
});

test('reset is refused unless the organization has enabled it', async () => {
  const id = await shop.subscribe(shop.starter);
  const reset = () => shop.change(id, shop.pro, 'reset');
  await expect(reset()).rejects.toMatchObject({
    statusCode: 422,
    error: { detail: [{ loc: ['body', 'proration_behavior'] }] },
  });
  await shop.settings({ reset_proration_behavior_enabled: true });
  expect(await reset()).toMatchObject({ product_id: shop.pro.id });
});

test('a paused subscription is resumed without a cycle event, and does not prevent a second plan', async () => {
  const id = await shop.subscribe(shop.starter);
  await shop.polar.subscriptions.update(id, { pause_at_period_end: true });
  expect(await shop.typesDuring(() => shop.moveTo('2026-05-01T00:00:00Z'))).toEqual(
    typesOf('subscription.updated, paused'),
  );
  await shop.buy(shop.pro);
  const types = await shop.typesDuring(() => shop.polar.subscriptions.update(id, { resume: true }));
  expect(types.slice(0, 3)).toEqual(['subscription.updated', 'subscription.resumed', 'order.created']);
  expect((await shop.polar.subscriptions.list({ active: true })).items).toHaveLength(2);
});

test('a deleted customer’s orders are not listed by its external id, only by the metadata', async () => {
  await shop.subscribe(shop.starter);
  await shop.polar.customers.delete(shop.team.id);
  expect((await shop.polar.orders.list({ external_customer_id: 'team-1' })).items).toHaveLength(0);
  expect((await shop.polar.orders.list({ metadata: { team_id: 'team-1' } })).items).toHaveLength(1);
});
