import { afterEach, expect, test } from '@jest/globals';
import { type EmulatedShop, openShop, typesOf } from './emulated-shop.ts';

const ADA = { email: 'ada@example.com', external_id: 'ada' };
let shop: EmulatedShop;
afterEach(() => shop.stop());

const subscribed = async (now: string, plan: 'starter' | 'pro' | 'proYearly' = 'starter') => {
  shop = await openShop(now);
  return shop.subscribe(shop[plan]);
};

test('a paid checkout of a plan creates a subscription and a paid order, with events in Polar’s order', async () => {
  shop = await openShop('2026-01-10T00:00:00Z');
  const types = await shop.typesDuring(() => shop.buy(shop.starter));
  expect(types).toEqual(
    typesOf(
      'checkout.updated, subscription.created, active, updated, order.created, updated, paid, checkout.updated, order.updated',
    ),
  );
  const order = await shop.newestOrder();
  expect(order).toMatchObject({
    status: 'paid',
    net_amount: 1_900,
    billing_reason: 'subscription_create',
    metadata: { team_id: 'team-1' },
    customer: { external_id: 'team-1' },
    product: { metadata: { catalog_key: 'starter_monthly' } },
    subscription: { status: 'active', metadata: { team_id: 'team-1' } },
  });
  expect(order.items).toMatchObject([
    {
      proration: false,
      start_timestamp: '2026-01-10T00:00:00.000Z',
      end_timestamp: '2026-02-10T00:00:00.000Z',
    },
  ]);
});

test('a pack creates a paid order without a subscription, and its units multiply the price', async () => {
  shop = await openShop('2026-01-10T00:00:00Z');
  const types = await shop.typesDuring(() => shop.buy(shop.pack, { units: 3 }));
  expect(types).toEqual(
    typesOf('checkout.updated, order.created, updated, paid, checkout.updated, order.updated'),
  );
  expect(await shop.newestOrder()).toMatchObject({
    billing_reason: 'purchase',
    net_amount: 3_000,
    units: 3,
    subscription_id: null,
    items: [{ start_timestamp: null, end_timestamp: null }],
  });
});

test('a renewal begins its period before it is paid', async () => {
  await subscribed('2026-01-10T00:00:00Z');
  const types = await shop.typesDuring(() => shop.moveTo('2026-02-10T00:00:00Z'));
  expect(types).toEqual(typesOf('subscription.cycled, updated, order.created, updated, paid, updated'));
  const created = shop.receiver.received.findLast(({ event }) => event.type === 'order.created');
  expect(created?.event.data).toMatchObject({ status: 'pending', paid: false });
  expect(await shop.newestOrder()).toMatchObject({
    billing_reason: 'subscription_cycle',
    status: 'paid',
    metadata: { team_id: 'team-1' },
    items: [{ proration: false, start_timestamp: '2026-02-10T00:00:00.000Z' }],
  });
});

test('months that are too short keep the anchor on the 31st', async () => {
  await subscribed('2026-01-31T10:00:00Z');
  expect(await shop.moveTo('2027-02-01T00:00:00Z')).toBe(12);
  const { items } = await shop.polar.orders.list({ limit: 100, sorting: ['created_at'] });
  const starts = items.map((order) => order.items[0]?.start_timestamp?.slice(2, 10));
  expect(starts.join(' ')).toBe(
    '26-01-31 26-02-28 26-03-31 26-04-30 26-05-31 26-06-30 26-07-31 26-08-31 26-09-30 26-10-31 26-11-30 26-12-31 27-01-31',
  );
});

test('renew now ends the current period and starts a full one', async () => {
  const id = await subscribed('2026-01-10T00:00:00Z');
  await shop.moveTo('2026-01-20T12:00:00Z');
  const types = await shop.typesDuring(() => shop.control(`/subscriptions/${id}/renew-now`));
  expect(types[0]).toBe('subscription.cycled');
  expect(await shop.subscription()).toMatchObject({
    current_period_start: '2026-01-20T12:00:00.000Z',
    current_period_end: '2026-02-20T12:00:00.000Z',
  });
});

test('cancel at period end stays active, can be undone, and ends the subscription at the end', async () => {
  const id = await subscribed('2026-01-10T00:00:00Z');
  const cancel = () => shop.polar.subscriptions.update(id, { cancel_at_period_end: true });
  expect(await shop.typesDuring(cancel)).toEqual(['subscription.updated', 'subscription.canceled']);
  expect(await shop.subscription()).toMatchObject({ status: 'active', ends_at: '2026-02-10T00:00:00.000Z' });
  await expect(cancel()).rejects.toMatchObject({
    statusCode: 403,
    error: { error: 'AlreadyCanceledSubscription' },
  });
  const uncancel = () => shop.polar.subscriptions.update(id, { cancel_at_period_end: false });
  expect(await shop.typesDuring(uncancel)).toEqual(['subscription.updated', 'subscription.uncanceled']);
  await expect(uncancel()).rejects.toMatchObject({
    statusCode: 400,
  });
  await cancel();
  expect(await shop.typesDuring(() => shop.moveTo('2026-02-10T00:00:00Z'))).toEqual(
    typesOf('subscription.updated, canceled, revoked'),
  );
  expect(await shop.subscription()).toMatchObject({ status: 'canceled' });
  expect(await shop.moveTo('2026-12-31T00:00:00Z')).toBe(0);
});

test('a revoked subscription ends at once and can be reinstated', async () => {
  const id = await subscribed('2026-01-10T00:00:00Z');
  expect(await shop.typesDuring(() => shop.polar.subscriptions.revoke(id))).toEqual(
    typesOf('subscription.updated, canceled, revoked'),
  );
  await shop.control(`/subscriptions/${id}/reinstate`);
  expect(await shop.subscription()).toMatchObject({ status: 'active', ended_at: null });
});

test('dunning retries after 2, 7, 14 and 21 days and then stops', async () => {
  await subscribed('2026-01-01T00:00:00Z');
  await shop.control(`/customers/${shop.team.id}/card`, { declines: true });
  expect(await shop.typesDuring(() => shop.moveTo('2026-02-01T00:00:00Z'))).toEqual(
    typesOf('subscription.cycled, updated, order.created, subscription.updated, past_due'),
  );
  for (const [day, next] of [
    ['2026-02-01', '2026-02-03'],
    ['2026-02-03', '2026-02-08'],
    ['2026-02-08', '2026-02-15'],
    ['2026-02-15', '2026-02-22'],
  ]) {
    await shop.moveTo(`${day}T00:00:00Z`);
    expect((await shop.newestOrder()).next_payment_attempt_at).toBe(`${next}T00:00:00.000Z`);
  }
  expect(await shop.typesDuring(() => shop.moveTo('2026-02-22T00:00:00Z'))).toEqual(
    typesOf('subscription.updated, canceled, revoked, order.updated'),
  );
  expect(await shop.newestOrder()).toMatchObject({ status: 'void' });
});

test('a past due subscription recovers: active comes before the paid order', async () => {
  const id = await subscribed('2026-01-01T00:00:00Z');
  await shop.control(`/subscriptions/${id}/fail-next-payment`);
  await shop.moveTo('2026-02-01T00:00:00Z');
  expect(await shop.subscription()).toMatchObject({ status: 'past_due' });
  expect(await shop.typesDuring(() => shop.control(`/subscriptions/${id}/pay-past-due`))).toEqual(
    typesOf('subscription.updated, active, order.updated, paid, updated'),
  );
});

test('an upgrade by invoice credits the unused time and charges the rest of the period now', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z');
  await shop.moveTo('2026-04-16T00:00:00Z');
  const types = await shop.typesDuring(() => shop.change(id, shop.pro, 'invoice'));
  expect(types).toEqual(typesOf('order.created, subscription.updated, order.updated, paid, updated'));
  expect(await shop.newestOrder()).toMatchObject({
    billing_reason: 'subscription_update',
    net_amount: 1_500,
    items: [
      { amount: -950, proration: true },
      { amount: 2_450, proration: true, end_timestamp: '2026-05-01T00:00:00.000Z' },
    ],
  });
});

test('prorations with prorate wait for the next renewal', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z');
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'prorate');
  expect((await shop.polar.orders.list()).pagination.total_count).toBe(1);
  await shop.moveTo('2026-05-01T00:00:00Z');
  expect(await shop.newestOrder()).toMatchObject({
    net_amount: 6_400,
    items: [{ proration: false, amount: 4_900 }, { amount: -950 }, { amount: 2_450 }],
  });
});

test('a downgrade for the next period waits, and the renewal has the new plan', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z', 'pro');
  const changed = await shop.change(id, shop.starter, 'next_period');
  expect(changed).toMatchObject({
    product_id: shop.pro.id,
    pending_update: { product_id: shop.starter.id, applies_at: '2026-05-01T00:00:00.000Z' },
  });
  await shop.moveTo('2026-05-01T00:00:00Z');
  expect(await shop.newestOrder()).toMatchObject({ net_amount: 1_900, product_id: shop.starter.id });
  expect(await shop.subscription()).toMatchObject({ product_id: shop.starter.id, pending_update: null });
});

test('reset and a change of interval start a new period now', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z');
  await shop.settings({ reset_proration_behavior_enabled: true });
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'reset');
  expect(await shop.newestOrder()).toMatchObject({ net_amount: 4_900 });
  expect(await shop.subscription()).toMatchObject({ current_period_end: '2026-05-16T00:00:00.000Z' });
  await shop.change(id, shop.proYearly, 'prorate');
  expect(await shop.newestOrder()).toMatchObject({ net_amount: 49_000 - 4_900 });
  expect(await shop.subscription()).toMatchObject({ current_period_end: '2027-04-16T00:00:00.000Z' });
});

test('a plan change whose charge fails answers 402 and changes nothing', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z');
  await shop.control(`/subscriptions/${id}/fail-next-payment`);
  const before = await shop.subscription();
  const upgrade = () => shop.change(id, shop.pro, 'invoice');
  const types = await shop.typesDuring(() =>
    expect(upgrade()).rejects.toMatchObject({ statusCode: 402, error: { error: 'PaymentFailed' } }),
  );
  expect(types).toEqual([]);
  expect(await shop.subscription()).toEqual(before);
  expect(await upgrade()).toMatchObject({ product_id: shop.pro.id });
});

test('the credit of a downgrade by invoice pays for the next renewal', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z', 'pro');
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.starter, 'invoice');
  expect(await shop.newestOrder()).toMatchObject({ net_amount: -1_500, due_amount: 0, status: 'paid' });
  await shop.moveTo('2026-05-01T00:00:00Z');
  expect(await shop.newestOrder()).toMatchObject({
    net_amount: 1_900,
    applied_balance_amount: -1_500,
    due_amount: 400,
  });
});

test('refunds add up, a reversed one is subtracted, and the subscription continues', async () => {
  await subscribed('2026-01-10T00:00:00Z');
  const { id } = await shop.newestOrder();
  const refund = (amount: number) =>
    shop.polar.refunds.create({ order_id: id, reason: 'customer_request', amount });
  expect(await shop.typesDuring(() => refund(900))).toEqual(
    typesOf('refund.created, order.updated, refunded, refund.updated, updated'),
  );
  expect(await shop.newestOrder()).toMatchObject({ status: 'partially_refunded', refunded_amount: 900 });
  const second = await refund(1_000);
  expect(await shop.newestOrder()).toMatchObject({ status: 'refunded', refunded_amount: 1_900 });
  await expect(refund(1)).rejects.toMatchObject({ statusCode: 403, error: { error: 'RefundedAlready' } });
  expect(await shop.typesDuring(() => shop.control(`/refunds/${second.id}/reverse`))).toEqual(
    typesOf('order.updated, refund.updated'),
  );
  expect(await shop.newestOrder()).toMatchObject({ status: 'partially_refunded', refunded_amount: 900 });
  expect((await shop.polar.refunds.list({ order_id: id, succeeded: true })).items).toHaveLength(1);
  expect(await shop.subscription()).toMatchObject({ status: 'active' });
});

test('a dispute sends no webhook and is found in the list; a prevented one refunds', async () => {
  await subscribed('2026-01-10T00:00:00Z');
  const { id } = await shop.newestOrder();
  expect(await shop.typesDuring(() => shop.control(`/orders/${id}/dispute`, { amount: 500 }))).toEqual([]);
  const [dispute] = (await shop.polar.disputes.list({ order_id: id })).items;
  expect(dispute).toMatchObject({ status: 'needs_response', amount: 500 });
  await shop.control(`/disputes/${dispute?.id}/win`);
  expect((await shop.polar.disputes.list({ status: 'won' })).items).toHaveLength(1);
  await shop.control(`/orders/${id}/dispute`, { status: 'prevented' });
  expect((await shop.polar.refunds.list()).items).toMatchObject([
    { reason: 'dispute_prevention', amount: 1_900, dispute: { status: 'prevented' } },
  ]);
});

test('a trial is an order of 0, and its end is not an activation', async () => {
  shop = await openShop('2026-01-10T00:00:00Z');
  await shop.buy(shop.pro, { trial_interval: 'day', trial_interval_count: 14 });
  expect(await shop.subscription()).toMatchObject({
    status: 'trialing',
    trial_end: '2026-01-24T00:00:00.000Z',
  });
  expect(await shop.newestOrder()).toMatchObject({ total_amount: 0, status: 'paid' });
  expect(await shop.typesDuring(() => shop.moveTo('2026-01-24T00:00:00Z'))).toEqual(
    typesOf('subscription.cycled, updated, order.created, updated, paid, updated'),
  );
  expect(await shop.newestOrder()).toMatchObject({ total_amount: 4_900 });
  expect(await shop.subscription()).toMatchObject({ current_period_end: '2026-02-24T00:00:00.000Z' });
});

test('an order with a full discount is paid without a charge, even with a declining card', async () => {
  shop = await openShop('2026-01-10T00:00:00Z');
  const discount = await shop.polar.discounts.create({
    type: 'percentage',
    name: 'Friends',
    basis_points: 10_000,
    duration: 'once',
  });
  await shop.control(`/customers/${shop.team.id}/card`, { declines: true });
  await shop.buy(shop.pro, { discount_id: discount.id });
  expect(await shop.newestOrder()).toMatchObject({ subtotal_amount: 4_900, net_amount: 0, status: 'paid' });
  await shop.control(`/customers/${shop.team.id}/card`, { declines: false });
  await shop.moveTo('2026-02-10T00:00:00Z');
  expect(await shop.newestOrder()).toMatchObject({ net_amount: 4_900, status: 'paid' });
});

test('a team that has a plan cannot buy a second one', async () => {
  await subscribed('2026-01-10T00:00:00Z');
  await expect(shop.buy(shop.pro)).rejects.toThrow('AlreadyActiveSubscriptionError');
});

test('a deleted customer’s subscription is revoked and its external id is free again', async () => {
  await subscribed('2026-01-10T00:00:00Z');
  await shop.polar.customers.deleteExternal('team-1');
  await expect(shop.polar.customers.getExternal('team-1')).rejects.toMatchObject({ statusCode: 404 });
  expect((await shop.polar.subscriptions.list({ status: 'canceled' })).items).toHaveLength(1);
  await shop.polar.customers.create({ type: 'team', external_id: 'team-1', name: 'Again', owner: ADA });
});

test('a revoke invoices pending prorations, as a cycle that begins no period', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z');
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'prorate');
  await shop.polar.subscriptions.revoke(id);
  expect(await shop.newestOrder()).toMatchObject({
    billing_reason: 'subscription_cycle',
    status: 'paid',
    net_amount: 1_500,
    items: [{ proration: true }, { proration: true }],
  });
});

test('a paused subscription bills nothing, and resuming starts a new period', async () => {
  const id = await subscribed('2026-04-01T00:00:00Z');
  await shop.polar.subscriptions.update(id, { pause_at_period_end: true });
  await shop.moveTo('2026-06-10T00:00:00Z');
  expect(await shop.subscription()).toMatchObject({ status: 'paused' });
  await shop.polar.subscriptions.update(id, { resume: true });
  expect(await shop.subscription()).toMatchObject({
    status: 'active',
    current_period_start: '2026-06-10T00:00:00.000Z',
    current_period_end: '2026-07-10T00:00:00.000Z',
  });
  expect((await shop.polar.orders.list()).pagination.total_count).toBe(2);
});
