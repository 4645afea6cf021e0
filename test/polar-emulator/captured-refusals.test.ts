import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readCaptured } from './captured-story.ts';
import { type EmulatedShop, openShop } from './emulated-shop.ts';

/** Every error that Polar's own server returned is provoked on the emulator, and compared. */

interface CapturedRefusal {
  method: string;
  path: string;
  status: number;
  answer: string | { keys: string[]; error: string | null; detail?: Problem[] };
}
interface Problem {
  keys: string[];
  type: string;
  loc: (string | number)[];
}
interface Provocation {
  path: string;
  body?: object;
  query?: string;
  authorization?: string | null;
  before?: () => Promise<unknown>;
}

/** The differences and their reasons, by the error's position in the file. */
const known: Record<number, { field: 'status' | 'type' | 'problems'; reason: string }> = {
  1: { field: 'status', reason: 'the SDK of 2026-10 lists members; the captured server is older' },
  22: { field: 'type', reason: 'the emulator calls every value that is not in a list `enum`' },
  40: { field: 'type', reason: 'the emulator calls every value that is not in a list `enum`' },
};

const captured = readCaptured('refusals') as CapturedRefusal[];
const UNKNOWN = '00000000-0000-4000-8000-000000000000';
let shop: EmulatedShop;
let provocations: Provocation[];

beforeAll(async () => {
  shop = await openShop('2026-01-10T00:00:00Z');
  provocations = await provoke();
});
afterAll(() => shop.stop());

test.each(
  captured.map(({ method, path, status }, index) => ({
    name: `${index}: ${status} for ${method} ${path}`,
    index,
  })),
)('$name', async ({ index }) => {
  const was = captured[index];
  const given = provocations[index];
  if (!was || !given) throw new Error(`refusal ${index} is not provoked`);
  expect(given.path.replaceAll(/[0-9a-f-]{36}|polar_c_[\w-]+/g, 'ID')).toBe(
    was.path.replace('polar_c_REDACTED', 'ID'),
  );
  await given.before?.();
  const { authorization = 'Bearer polar_oat_test' } = given;
  const response = await fetch(`${shop.emulator.url}${given.path}${given.query ?? ''}`, {
    method: was.method,
    headers: { 'content-type': 'application/json', ...(authorization === null ? {} : { authorization }) },
    ...(given.body === undefined ? {} : { body: JSON.stringify(given.body) }),
  });
  const text = await response.text();
  const differs = known[index]?.field;
  if (differs === 'status') return expect(response.status).not.toBe(was.status);
  expect(response.status).toBe(was.status);
  if (was.status === 429) expect(response.headers.get('retry-after')).toBe('60');
  if (typeof was.answer === 'string') return expect(text).toBe(was.answer);
  const { error = null, detail, ...rest } = JSON.parse(text);
  expect(error).toBe(was.answer.error);
  expect(
    Object.keys({ ...rest, ...(error === null ? {} : { error }), ...(detail ? { detail } : {}) }).sort(),
  ).toEqual(was.answer.keys);
  if (!was.answer.detail) return undefined;
  const [first] = detail as { type: string; loc: (string | number)[] }[];
  const [firstWas] = was.answer.detail;
  if (differs === 'type') expect(first?.type).not.toBe(firstWas?.type);
  else expect(first?.type).toBe(firstWas?.type);
  expect(first?.loc).toEqual(firstWas?.loc);
  const keys = Object.keys(first ?? {}).filter((key) => key !== 'ctx');
  return expect(keys.sort()).toEqual(firstWas?.keys.filter((key) => key !== 'ctx'));
});

/** The position of the refused type in the request. */
function placeOfUnknownType(): number {
  const answer = captured[2]?.answer;
  return Number(typeof answer === 'object' ? answer.detail?.[0]?.loc.at(-1) : undefined);
}

async function provoke(): Promise<Provocation[]> {
  const { polar, team, pack, pro, starter, endpoint } = shop;
  await shop.settings({
    unknown_email_domains: ['nosuch.com'],
    unknown_event_types: ['subscription.migrated'],
  });
  const teamOf = (name: string) =>
    polar.customers.create({
      ...{ type: 'team', external_id: name, name },
      owner: { email: `${name}@example.com`, external_id: name },
    });
  const planOf = async (customer_id: string) => {
    await shop.buy(starter, { customer_id });
    const { items } = await polar.subscriptions.list({ customer_id });
    return items[0]?.id ?? '';
  };
  await shop.buy(pack);
  const [packOrder] = (await polar.orders.list()).items;
  await polar.refunds.create({ order_id: packOrder?.id ?? '', reason: 'other', amount: 1_000 });
  const deleted = await teamOf('gone');
  await polar.customers.delete(deleted.id);
  const other = await teamOf('other');
  const canceled = await planOf(other.id);
  await polar.subscriptions.update(canceled, { cancel_at_period_end: true });
  const ended = await planOf((await teamOf('ended')).id);
  await polar.subscriptions.revoke(ended);
  const checkout = await polar.checkouts.create({ products: [pro.id], customer_id: team.id });
  const plan = await planOf(team.id);
  const [planOrder] = (await polar.orders.list({ customer_id: team.id, limit: 1 })).items;
  const pm = { email: 'pm@example.com', name: 'M', external_id: 'pm', role: 'billing_manager' as const };
  await polar.customers.members.create(team.id, pm);
  const owner = (await polar.customers.members.list(team.id)).items.find(({ role }) => role === 'owner');

  const members = `/v1/customers/${team.id}/members`;
  const subscription = `/v1/subscriptions/${plan}`;
  const confirm = `/v1/checkouts/client/${checkout.client_secret}/confirm`;
  const address = {
    country: 'US',
    line1: '1 Main St',
    city: 'San Francisco',
    postal_code: '94104',
    state: 'US-CA',
  };
  const confirmation = { customer_billing_address: address, customer_name: 'A Payer' };
  const newTeam = { type: 'team', external_id: 'probe', name: 'Probe', owner: { email: 'pa@example.com' } };
  const refund = { order_id: planOrder?.id, reason: 'customer_request', amount: 1 };
  const tooMany = (path: string, body?: object): Provocation => ({
    path,
    ...(body ? { body } : {}),
    before: () => shop.control('/faults', { target: 'api', status: 429, path: path.split('?')[0] }),
  });
  const card = (declines: boolean) => shop.control(`/customers/${team.id}/card`, { declines });
  const long = 'x'.repeat(257);

  return [
    { path: '/v1/customers/', body: { ...newTeam, owner: { email: 'ada@nosuch.com' } } },
    { path: members },
    {
      path: `/v1/webhooks/endpoints/${endpoint.id}`,
      body: {
        enabled: true,
        events: [...Array(placeOfUnknownType()).fill('order.paid'), 'subscription.migrated'],
      },
    },
    {
      path: subscription,
      body: { product_id: pro.id, proration_behavior: 'invoice' },
      before: () => card(true),
    },
    { path: '/v1/refunds/', body: { ...refund, order_id: packOrder?.id }, before: () => card(false) },
    { path: members, body: { ...pm, email: 'greg@nosuch.com', external_id: 'greg' } },
    {
      path: `/v1/customers/${deleted.id}/members`,
      body: { ...pm, email: 'kim@example.com', external_id: 'kim' },
    },
    {
      path: confirm,
      body: {
        ...confirmation,
        customer_billing_address: { country: 'US', postal_code: '94104', state: 'US-CA' },
      },
    },
    { path: confirm, body: confirmation },
    tooMany(confirm, confirmation),
    tooMany(confirm, confirmation),
    tooMany('/v1/organizations/'),
    tooMany('/v1/orders/'),
    tooMany(`/v1/checkouts/client/${checkout.client_secret}`, { discount_code: 'FREE100' }),
    tooMany(confirm, confirmation),
    tooMany(confirm, confirmation),
    { path: '/v1/customers/', body: { ...newTeam, name: long } },
    { path: '/v1/customers/', body: { ...newTeam, owner: { email: 'pa@example.com', name: long } } },
    { path: '/v1/customers/', body: { ...newTeam, owner: undefined } },
    { path: '/v1/customers/', body: { ...newTeam, external_id: 'team-1' } },
    { path: '/v1/customers/', body: { ...newTeam, name: 'a\0b' } },
    { path: members, body: { ...pm, email: 'pm3@example.com' } },
    { path: members, body: { email: 'po@example.com', role: 'owner' } },
    { path: `${members}/${owner?.id}` },
    { path: `${members}/${owner?.id}`, body: { role: 'member' } },
    { path: '/v1/customer-sessions/', body: { customer_id: team.id } },
    { path: '/v1/customer-sessions/', body: { customer_id: UNKNOWN } },
    { path: '/v1/customer-sessions/', body: { customer_id: team.id, member_id: UNKNOWN } },
    { path: '/v1/checkouts/', body: { products: [pack.id], customer_id: UNKNOWN } },
    { path: '/v1/checkouts/', body: { products: [UNKNOWN], customer_id: team.id } },
    { path: confirm, body: confirmation },
    { path: subscription, body: { pending_update: null } },
    { path: subscription, body: { product_id: pack.id, proration_behavior: 'invoice' } },
    { path: subscription, body: { product_id: pro.id, proration_behavior: 'reset' } },
    { path: subscription, body: { product_id: pro.id, proration_behavior: 'foo' } },
    { path: subscription, body: { cancel_at_period_end: false } },
    { path: subscription, body: { current_billing_period_end: '2020-01-01T00:00:00Z' } },
    { path: `/v1/subscriptions/${canceled}`, body: { cancel_at_period_end: true } },
    { path: '/v1/refunds/', body: { ...refund, amount: 0 } },
    { path: '/v1/refunds/', body: { ...refund, amount: 99_999 } },
    { path: '/v1/refunds/', body: { ...refund, reason: 'x' } },
    { path: '/v1/refunds/', body: { ...refund, order_id: UNKNOWN } },
    { path: '/v1/refunds/', body: { ...refund, amount: 500, revoke_benefits: true } },
    { path: `/v1/subscriptions/${ended}` },
    { path: `/v1/subscriptions/${ended}`, body: { cancel_at_period_end: false } },
    { path: `/v1/customers/${UNKNOWN}` },
    { path: '/v1/orders/', authorization: null },
    { path: '/v1/orders/', authorization: 'Bearer polar_oat_wrong' },
    { path: '/v1/orders/', query: '?page=0' },
    { path: '/v1/orders/abc' },
    { path: '/v1/orders/', query: '?sorting=foo' },
    {
      path: '/v1/webhooks/endpoints',
      body: { url: 'http://shop.example.com/x', format: 'raw', events: ['order.paid'] },
    },
    {
      path: '/v1/webhooks/endpoints',
      body: { url: 'https://shop.example.com/x', format: 'raw', events: ['order.foo'] },
    },
    { path: '/v1/products/', body: { name: 'ab', prices: [{ amount_type: 'fixed', price_amount: 100 }] } },
    { path: '/v1/products/', body: { name: 'Cheap', prices: [{ amount_type: 'fixed', price_amount: 10 }] } },
    { path: `/v1/products/${pack.id}`, body: { recurring_interval: 'month' } },
  ];
}
