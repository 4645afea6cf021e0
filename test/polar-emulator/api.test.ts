import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createPolar } from '@polar-sh/sdk/2026-10';
import { type EmulatedShop, openShop } from './emulated-shop.ts';

let shop: EmulatedShop;
beforeEach(async () => {
  shop = await openShop('2026-01-10T00:00:00Z');
});
afterEach(() => shop.stop());

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

test('a wrong token is refused', async () => {
  const stranger = createPolar({ accessToken: 'polar_oat_other', baseUrl: shop.emulator.url });
  await expect(stranger.products.list()).rejects.toMatchObject({ statusCode: 401 });
  expect((await fetch(`${shop.emulator.url}/v1/products/`)).status).toBe(401);
});

test('a missing object is Polar’s ResourceNotFound', async () => {
  for (const ask of [
    () => shop.polar.products.get(UNKNOWN),
    () => shop.polar.orders.get(UNKNOWN),
    () => shop.polar.subscriptions.get(UNKNOWN),
    () => shop.polar.checkouts.get(UNKNOWN),
    () => shop.polar.customers.getExternal('nobody'),
  ]) {
    await expect(ask()).rejects.toMatchObject({ statusCode: 404, error: { error: 'ResourceNotFound' } });
  }
});

test('a body that Polar would refuse is an HTTPValidationError with the path', async () => {
  await expect(
    shop.polar.products.create({ name: 'X', prices: [{ amount_type: 'fixed', price_amount: 1 }] }),
  ).rejects.toMatchObject({
    statusCode: 422,
    error: {
      detail: [
        { loc: ['body', 'one_time', 'name'] },
        { loc: ['body', 'one_time', 'prices', 0, 'fixed', 'price_amount'] },
      ],
    },
  });
  await expect(shop.polar.checkouts.create({ products: [UNKNOWN] })).rejects.toMatchObject({
    error: { detail: [{ loc: ['body', 'products', 0], msg: 'Product does not exist.' }] },
  });
  await expect(
    shop.polar.refunds.create({ order_id: UNKNOWN, reason: 'other', amount: 0 }),
  ).rejects.toMatchObject({ error: { detail: [{ loc: ['body', 'amount'] }] } });
});

test('a list comes in pages, newest first, and can be filtered by metadata', async () => {
  for (let index = 0; index < 5; index++)
    await shop.buy(shop.pack, { metadata: { team_id: 'team-1', index } });
  const page = await shop.polar.orders.list({ limit: 2, page: 3 });
  expect(page.pagination).toEqual({ total_count: 5, max_page: 3 });
  expect(page.items).toMatchObject([{ metadata: { index: 0 } }]);
  const all = [];
  for await (const order of shop.polar.orders.iterList({ limit: 2 })) all.push(order.metadata.index);
  expect(all).toEqual([4, 3, 2, 1, 0]);
  const some = await shop.polar.orders.list({ metadata: { index: 3 }, external_customer_id: 'team-1' });
  expect(some.items).toHaveLength(1);
  const byKey = await shop.polar.products.list({ metadata: { catalog_key: 'pro_monthly' } });
  expect(byKey.items).toMatchObject([{ id: shop.pro.id }]);
});

test('an external id and an e-mail belong to one customer, and an external id never changes', async () => {
  await expect(
    shop.polar.customers.create({
      type: 'team',
      external_id: 'team-1',
      name: 'Copy',
      owner: { email: 'eve@example.com' },
    }),
  ).rejects.toMatchObject({ statusCode: 422, error: { detail: [{ loc: ['body', 'external_id'] }] } });
  await expect(shop.polar.customers.update(shop.team.id, { external_id: 'team-2' })).rejects.toMatchObject({
    statusCode: 422,
  });
  await shop.polar.customers.create({ email: 'bob@example.com' });
  await expect(shop.polar.customers.create({ email: 'BOB@example.com' })).rejects.toMatchObject({
    error: { detail: [{ loc: ['body', 'email'] }] },
  });
});

test('one user owns many teams', async () => {
  const second = await shop.polar.customers.create({
    type: 'team',
    external_id: 'team-2',
    name: 'Another team',
    owner: { email: 'ada@example.com', external_id: 'ada' },
  });
  const { items } = await shop.polar.customers.members.list(second.id);
  expect(items).toMatchObject([{ role: 'owner', external_id: 'ada' }]);
});

test('a checkout’s external id is ignored if the payer’s e-mail already has a customer', async () => {
  const known = await shop.polar.customers.create({ email: 'bob@example.com' });
  const checkout = await shop.polar.checkouts.create({
    products: [shop.pack.id],
    external_customer_id: 'team-9',
    customer_email: 'bob@example.com',
  });
  await shop.control(`/checkouts/${checkout.id}/pay`);
  expect((await shop.polar.orders.list()).items).toMatchObject([{ customer_id: known.id }]);
  await expect(shop.polar.customers.getExternal('team-9')).rejects.toMatchObject({ statusCode: 404 });
});

test('a team’s portal session needs a member and lasts an hour', async () => {
  await expect(shop.polar.customerSessions.create({ customer_id: shop.team.id })).rejects.toMatchObject({
    statusCode: 422,
    error: { detail: [{ loc: ['body', 'member_id'] }] },
  });
  const member = await shop.polar.customers.members.create(shop.team.id, {
    email: 'bill@example.com',
    external_id: 'bill',
    role: 'billing_manager',
  });
  const session = await shop.polar.customerSessions.create({
    external_customer_id: 'team-1',
    member_id: member.id,
  });
  expect(session.expires_at).toBe('2026-01-10T01:00:00.000Z');
  expect((await fetch(session.customer_portal_url)).status).toBe(200);
  await shop.moveTo('2026-01-10T01:00:00Z');
  expect((await fetch(session.customer_portal_url)).status).toBe(401);
});

test('a customer’s state shows the active subscription', async () => {
  await shop.buy(shop.pro);
  expect(await shop.polar.customers.getStateExternal('team-1')).toMatchObject({
    external_id: 'team-1',
    active_subscriptions: [{ status: 'active', product_id: shop.pro.id }],
  });
});

test('an archived product can no longer be bought', async () => {
  await shop.polar.products.update(shop.pack.id, { is_archived: true });
  await expect(shop.buy(shop.pack)).rejects.toMatchObject({ statusCode: 422 });
});

test('a new price applies to new checkouts and not to an existing subscription', async () => {
  await shop.buy(shop.starter);
  await shop.polar.products.update(shop.starter.id, {
    prices: [{ amount_type: 'fixed', price_amount: 2_500 }],
  });
  await shop.moveTo('2026-02-10T00:00:00Z');
  expect((await shop.polar.orders.list()).items[0]).toMatchObject({ net_amount: 1_900 });
});

test('a checkout is open for 24 hours', async () => {
  const checkout = await shop.polar.checkouts.create({
    products: [shop.pack.id],
    customer_id: shop.team.id,
    success_url: 'http://localhost/ok?checkout={CHECKOUT_ID}',
  });
  expect(checkout).toMatchObject({
    status: 'open',
    success_url: `http://localhost/ok?checkout=${checkout.id}`,
    expires_at: '2026-01-11T00:00:00.000Z',
  });
  await shop.moveTo('2026-01-11T00:00:00Z');
  expect(await shop.polar.checkouts.get(checkout.id)).toMatchObject({ status: 'expired' });
  await expect(shop.control(`/checkouts/${checkout.id}/pay`)).rejects.toThrow('410');
});

test('the checkout page pays and redirects back, or says that the card was declined', async () => {
  const checkout = await shop.polar.checkouts.create({
    products: [shop.pack.id],
    customer_id: shop.team.id,
    success_url: 'http://localhost/ok?checkout={CHECKOUT_ID}',
  });
  const press = (name: string) => fetch(`${checkout.url}/${name}`, { method: 'POST', redirect: 'manual' });
  expect(await (await fetch(checkout.url)).text()).toContain('$10.00');
  const declined = await press('decline');
  expect([declined.status, await declined.text()]).toEqual([402, expect.stringContaining('declined')]);
  const paid = await press('pay');
  expect([paid.status, paid.headers.get('location')]).toEqual([
    303,
    `http://localhost/ok?checkout=${checkout.id}`,
  ]);
  expect((await press('pay')).status).toBe(402);
  expect((await shop.polar.orders.list()).pagination.total_count).toBe(1);
});

test('names on the pages are escaped', async () => {
  await shop.polar.customers.create({ email: 'eve@example.com', name: '<script>alert(1)</script>' });
  const text = await (await fetch(shop.emulator.url)).text();
  expect(text).toContain('&lt;script&gt;alert(1)');
  expect(text).not.toContain('<script>');
});

test('the portal changes the plan with the organization’s proration, and cancels', async () => {
  const subscription_id = await shop.subscribe(shop.starter);
  const session = await shop.polar.customerSessions.create({
    customer_id: shop.team.id,
    external_member_id: 'ada',
  });
  const press = (path: string, fields: Record<string, string>) =>
    fetch(`${shop.emulator.url}/portal/${path}`, {
      method: 'POST',
      body: new URLSearchParams({
        customer_session_token: session.token,
        subscription_id,
        ...fields,
      }),
    });
  expect((await press('change-plan', { product_id: shop.pro.id })).status).toBe(200);
  expect((await press('cancel', {})).status).toBe(200);
  expect((await press('cancel', { customer_session_token: 'wrong' })).status).toBe(401);
  expect((await shop.polar.subscriptions.list()).items).toMatchObject([
    { product_id: shop.pro.id, cancel_at_period_end: true },
  ]);
  expect((await shop.polar.orders.list()).pagination.total_count).toBe(1);
});

test('the API fails on demand: 500, 429 with a time to wait, and a cut connection after the effect', async () => {
  const customers = () => shop.polar.customers.list();
  await shop.control('/faults', { target: 'api', status: 500, path: '/v1/customers' });
  await shop.polar.products.list();
  await expect(customers()).rejects.toThrow('server error: 500');
  await shop.control('/faults', { target: 'api', status: 429, retry_after: 7 });
  await expect(customers()).rejects.toMatchObject({ statusCode: 429, retryAfter: 7 });
  await shop.control('/faults', { target: 'api', after_effect: 'drop', method: 'POST' });
  await expect(shop.polar.customers.create({ email: 'late@example.com' })).rejects.toThrow('network error');
  await shop.control('/faults', { target: 'api', after_effect: 'hang', method: 'POST' });
  await expect(shop.polar.customers.create({ email: 'later@example.com' }, { timeout: 0.2 })).rejects.toThrow(
    'network error',
  );
  expect((await customers()).items.map(({ email }) => email)).toEqual([
    'later@example.com',
    'late@example.com',
    null,
  ]);
});

test('an invoice is created on request and can be opened', async () => {
  await shop.buy(shop.pack);
  const { id } = await shop.newestOrder();
  await expect(shop.polar.orders.invoice(id)).rejects.toMatchObject({ statusCode: 404 });
  await shop.polar.orders.generateInvoice(id);
  const { url } = await shop.polar.orders.invoice(id);
  expect(await (await fetch(url)).text()).toContain('1,000 credits');
});

test('for a known e-mail the answer is the existing member', async () => {
  const { members } = shop.polar.customers;
  const first = await members.create(shop.team.id, { email: 'bill@example.com', external_id: 'bill' });
  const second = await members.create(shop.team.id, { email: 'Bill@example.com', external_id: 'william' });
  expect(second).toEqual(first);
});

test('a special-use e-mail domain is refused', async () => {
  for (const email of ['eve@localhost.localhost', 'eve@shop.test', 'eve@shop.invalid']) {
    await expect(shop.polar.customers.create({ email })).rejects.toMatchObject({ statusCode: 422 });
  }
});
