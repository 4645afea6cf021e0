import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { assignUpdate, dismissUpdate, teamWorkflowId } from '../../workflows/messages.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

let story: Story;
beforeEach(async () => {
  story = await startStory('2040-01-31T10:00:00Z');
});
afterEach(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

interface Row {
  id: string;
  type: string;
  teamId: string | null;
  status: string;
  parkedCode: string | null;
  waitsFor: string | null;
  outcome: string | null;
  decisions: object[];
}

const rows = async (query = ''): Promise<Row[]> =>
  (await story.call<{ data: Row[] }>('GET', `/v1/inbox?limit=100${query}`)).data;
const parkedPayment = () =>
  until(async () => (await rows('&status=parked')).find(({ type }) => type === 'order.paid'));
const sql = (text: string, values: unknown[] = []) => story.database.pool.query(text, values);

/** Pays for a pack with a checkout link of Polar: no metadata, and a customer that we did not create. */
async function payAsStranger(product = 'pack_1000'): Promise<{ customerId: string; orderId: string }> {
  const checkout = await story.polar.checkouts.create({ products: [await story.productOf(product)] });
  const email = `stranger-${crypto.randomUUID().slice(0, 8)}@example.com`;
  await story.control(`/checkouts/${checkout.id}/pay`, { email });
  const { items } = await story.polar.orders.list({ sorting: ['-created_at'], limit: 1 });
  await story.emulator.idle();
  return { customerId: items[0]?.customer_id ?? '', orderId: items[0]?.id ?? '' };
}

/** A paid order as Polar sends it, which Polar itself does not have. */
async function deliverOrder(more: Record<string, unknown> = {}, type = 'order.paid'): Promise<string> {
  const at = story.clock.now().toISOString();
  const data = {
    id: crypto.randomUUID(),
    created_at: at,
    status: 'paid',
    paid: true,
    billing_reason: 'purchase',
    net_amount: 1_200,
    currency: 'usd',
    product_id: crypto.randomUUID(),
    customer_id: crypto.randomUUID(),
    metadata: {},
    items: [{ amount: 1_200, proration: false }],
    ...more,
  };
  const { body } = await story.deliver({ type, timestamp: at, data });
  return String(body.id);
}

test('a purchase without a team is granted once its customer is attached to a team at Polar', async () => {
  const team = await story.signUp('ada');
  const { customerId } = await payAsStranger();
  expect(await parkedPayment()).toMatchObject({
    parkedCode: 'unknown_team',
    teamId: null,
    waitsFor: 'retry',
  });
  await sql(`update inbox set next_signal_at = '9999-01-01' where status = 'parked'`);

  await story.polar.customers.update(customerId, { external_id: team });
  await until(async () => (await story.balance(team)).bySource.purchase === '1000');
  await until(async () => (await rows('&status=parked')).length === 0);
  expect((await story.reconcile()).counts).not.toHaveProperty('repaired');
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('a retry resolves a purchase without a team with Polar’s current state', async () => {
  const team = await story.signUp('ada');
  const { customerId } = await payAsStranger();
  const { id } = await parkedPayment();
  await story.withoutWebhooks(() => story.polar.customers.update(customerId, { external_id: team }));
  await sql(`update inbox set next_signal_at = null where status = 'parked'`);
  expect(await story.request('POST', `/v1/inbox/${id}/retry`)).toMatchObject({ status: 202 });
  await until(async () => (await story.balance(team)).bySource.purchase === '1000');
});

test('reconciliation gives a parked purchase the team that Polar names now', async () => {
  const team = await story.signUp('ada');
  const { customerId } = await payAsStranger();
  await parkedPayment();
  await story.withoutWebhooks(() => story.polar.customers.update(customerId, { external_id: team }));
  await sql(`update inbox set next_signal_at = null where status = 'parked'`);
  await story.reconcile();
  await until(async () => (await story.balance(team)).bySource.purchase === '1000');
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('a retry applies an unknown product under the catalog key that it has at Polar now', async () => {
  const team = await story.signUp('ada');
  const product = await story.productOf('pack_1000');
  await story.polar.products.update(product, { metadata: { catalog_key: 'nothing_of_ours' } });
  await sql('delete from polar_products where polar_product_id = $1', [product]);
  const { id: customerId } = await story.polar.customers.create({
    type: 'team',
    external_id: team,
    owner: { email: 'ada@example.com', external_id: 'ada' },
  });
  const { id } = await story.polar.checkouts.create({ products: [product], customer_id: customerId });
  await story.control(`/checkouts/${id}/pay`);
  expect(await parkedPayment()).toMatchObject({ parkedCode: 'unknown_product', teamId: team });
  await story.polar.products.update(product, { metadata: { catalog_key: 'pack_1000' } });
  await story.call('POST', `/v1/inbox/${(await parkedPayment()).id}/retry`);
  await until(async () => (await story.balance(team)).bySource.purchase === '1000');
});

test('an operator assigns a parked purchase to a team, and its refund follows it', async () => {
  const team = await story.signUp('ada');
  const { orderId } = await payAsStranger();
  const { id } = await parkedPayment();
  const assign = (body: object) => story.request('POST', `/v1/inbox/${id}/assign`, body);
  expect(await assign({})).toMatchObject({ status: 422 });
  expect(await assign({ teamId: crypto.randomUUID() })).toMatchObject({ body: { code: 'unknown_team' } });
  expect(await assign({ product: 'pack_5000' })).toMatchObject({ body: { code: 'team_needed' } });
  expect(await assign({ teamId: team, product: 'no_such' })).toMatchObject({
    status: 422,
    body: { code: 'unknown_product' },
  });
  expect(await assign({ teamId: team, product: 'pro_monthly' })).toMatchObject({
    body: { code: 'wrong_product' },
  });
  expect(await assign({ teamId: team, reason: 'ticket 7' })).toMatchObject({ status: 202 });
  await until(async () => (await story.balance(team)).bySource.purchase === '1000');
  await until(async () => (await rows()).find((row) => row.id === id)?.status === 'handled');
  expect((await rows()).find((row) => row.id === id)).toMatchObject({
    teamId: team,
    decisions: [{ decision: 'assigned', reason: 'ticket 7', teamId: team, at: expect.any(String) }],
  });
  expect(await assign({ teamId: team })).toMatchObject({ status: 409, body: { code: 'not_parked' } });

  await story.control(`/orders/${orderId}/refund`);
  await until(async () => (await story.balance(team)).bySource.purchase === '0');
});

test('an operator assigns a product: the event is treated as this catalog key', async () => {
  const team = await story.signUp('ada');
  const id = await deliverOrder({ metadata: { team_id: team } });
  await story.settle();
  expect((await rows()).find((row) => row.id === id)).toMatchObject({ parkedCode: 'unknown_product' });
  await story.temporal.workflow.getHandle(teamWorkflowId(team)).executeUpdate(assignUpdate, {
    args: [{ inboxId: id, by: 'olga', product: 'pack_5000' }],
  });
  await until(async () => (await story.balance(team)).bySource.purchase === '5000');
  await until(async () => (await story.inbox(team)).every(({ status }) => status !== 'parked'));
});

test('a pack of an unknown catalog version waits for an operator, who assigns the product', async () => {
  const team = await story.signUp('ada');
  const id = await deliverOrder({
    product_id: await story.productOf('pack_1000'),
    metadata: { team_id: team, catalog_version: '99' },
  });
  await story.settle();
  expect((await rows()).find((row) => row.id === id)).toMatchObject({
    parkedCode: 'unknown_product',
    outcome: expect.stringContaining('names catalog version 99'),
  });
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '0' } });
  await story.call('POST', `/v1/inbox/${id}/assign`, { teamId: team, product: 'pack_1000' });
  await until(async () => (await story.balance(team)).bySource.purchase === '1000');
});

test('an event that was assigned to another team is not applied to the team that had it', async () => {
  const [ada, bob] = [await story.signUp('ada'), await story.signUp('bob')];
  const id = await deliverOrder({ metadata: { team_id: ada } });
  await story.settle();
  await story.call('POST', `/v1/inbox/${id}/assign`, { teamId: bob, product: 'pack_1000' });
  await until(async () => (await story.balance(bob)).bySource.purchase === '1000');
  expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '0' } });
});

test('a payment for a deleted team that an operator assigns to another team is refunded by that team', async () => {
  const ada = await story.signUp('ada');
  const gone = await story.foundTeam('ada', 'Gone');
  await story.call('DELETE', `/v1/teams/${gone}`);
  await story.settle();
  const order = {
    ...{ id: crypto.randomUUID(), product_id: await story.productOf('pack_1000') },
    metadata: { team_id: gone },
  };
  const id = await deliverOrder(order);
  await story.settle();
  expect((await rows()).find((row) => row.id === id)).toMatchObject({ parkedCode: 'team_deleted' });
  await story.call('POST', `/v1/inbox/${id}/assign`, { teamId: ada });
  await until(async () => (await story.balance(ada)).bySource.purchase === '1000');
  await story.spend(ada, 1_500);

  await deliverOrder(
    { ...order, status: 'refunded', refunded_amount: 1_200, modified_at: '2040-01-31T10:05:00Z' },
    'order.refunded',
  );
  await story.settle();
  expect(await story.balance(ada)).toMatchObject({ available: '0', debt: '1000' });
});

test('a subscription has one team: what an operator assigned to it, and whatever team its later events name', async () => {
  const [ada, bob] = [await story.signUp('ada'), await story.signUp('bob')];
  const subscriptionId = crypto.randomUUID();
  const product = await story.productOf('starter_monthly');
  const [january, february, march] = ['2040-01-31T10:00:00Z', '2040-02-29T10:00:00Z', '2040-03-31T10:00:00Z'];
  const paid = (start = '', end = '') => {
    const common = { metadata: { team_id: ada }, product_id: product, created_at: start };
    const period = { current_period_start: start, current_period_end: end };
    const started = { started_at: january, status: 'active', cancel_at_period_end: false };
    const item = { amount: 1_900, proration: false, start_timestamp: start, end_timestamp: end };
    return {
      ...{ ...common, id: crypto.randomUUID(), net_amount: 1_900, billing_reason: 'subscription_cycle' },
      subscription: { ...common, ...period, ...started, id: subscriptionId, created_at: january },
      ...{ subscription_id: subscriptionId, items: [item] },
    };
  };
  const first = paid(january, february);
  const doubtful = { metadata: { team_id: ada }, customer: { external_id: bob } };
  const ids = [
    await deliverOrder({ ...first, ...doubtful, subscription: { ...first.subscription, ...doubtful } }),
    await deliverOrder({ ...paid(january, february), ...doubtful }),
  ];
  for (const id of ids)
    expect((await rows()).find((row) => row.id === id)).toMatchObject({ parkedCode: 'doubtful_team' });
  await story.call('POST', `/v1/inbox/${ids[0]}/assign`, { teamId: bob });
  await until(async () => (await story.balance(bob)).bySource.subscription === '2000');

  await story.call('POST', `/v1/inbox/${ids[1]}/assign`, { teamId: ada }); // by mistake
  await until(async () => (await rows()).find((row) => row.id === ids[1])?.status === 'parked');
  expect((await rows()).find((row) => row.id === ids[1])).toMatchObject({ parkedCode: 'doubtful_team' });
  await story.call('POST', `/v1/inbox/${ids[1]}/dismiss`, { reason: 'the same payment' });

  await story.advanceTo('2040-02-29T10:00:10Z');
  await deliverOrder(paid(february, march));
  await story.settle();
  expect(await story.balance(bob)).toMatchObject({ bySource: { subscription: '2000' } });
  expect(await story.balance(ada)).toMatchObject({ bySource: { subscription: '0' } });
  const { grants } = await story.balance(bob);
  expect(grants.map(({ expiresAt }) => expiresAt)).toContain('2040-03-31T11:00:00.000Z');
});

test('a dismissed event is settled: it keeps its reason, is not retried, and reconciliation is silent about it', async () => {
  await payAsStranger();
  const { id } = await parkedPayment();
  expect(await story.request('POST', `/v1/inbox/${id}/dismiss`, {})).toMatchObject({ status: 422 });
  for (let times = 0; times < 2; times += 1)
    expect(
      await story.request('POST', `/v1/inbox/${id}/dismiss`, { reason: 'a test purchase' }),
    ).toMatchObject({
      status: 202,
    });
  expect((await rows()).find((row) => row.id === id)).toMatchObject({
    status: 'dismissed',
    parkedCode: null,
    decisions: [{ decision: 'dismissed', reason: 'a test purchase', by: expect.any(String) }],
  });
  expect(await story.request('POST', `/v1/inbox/${id}/retry`)).toMatchObject({
    body: { code: 'not_parked' },
  });
  for (const { id: other } of await rows('&status=parked'))
    await story.call('POST', `/v1/inbox/${other}/dismiss`, { reason: 'a test purchase' });
  const { counts } = await story.reconcile({ everything: true });
  expect(counts).not.toHaveProperty('waiting');
  expect(counts).not.toHaveProperty('repaired');
  expect(await rows('&status=parked')).toEqual([]);
});

test('a team’s operator sees its parked events in Temporal, and dismisses one there', async () => {
  const team = await story.signUp('ada');
  const id = await deliverOrder({ metadata: { team_id: team } });
  await story.settle();
  const workflow = story.temporal.workflow.getHandle(teamWorkflowId(team));
  const parked = async () =>
    (await workflow.describe()).typedSearchAttributes.getAll().find(({ key }) => key.name === 'ParkedEvents')
      ?.value;
  await until(async () => (await parked()) === 1);
  const dismiss = (message: { inboxId: string; by: string; reason: string }) =>
    workflow.executeUpdate(dismissUpdate, { args: [message] });
  await expect(dismiss({ inboxId: id, by: 'olga', reason: '' })).rejects.toThrow();
  await expect(dismiss({ inboxId: crypto.randomUUID(), by: 'olga', reason: 'no' })).rejects.toThrow();
  await dismiss({ inboxId: id, by: 'olga', reason: 'sold by mistake' });
  await until(async () => (await parked()) === 0);
  expect((await rows()).find((row) => row.id === id)).toMatchObject({
    status: 'dismissed',
    decisions: [{ by: 'olga', reason: 'sold by mistake' }],
  });
});

test('an event that cannot be applied is retried a bounded number of times, then waits for an operator', async () => {
  const team = await story.signUp('ada');
  const ids = [
    await deliverOrder({ metadata: { team_id: team } }),
    await deliverOrder({ metadata: { team_id: crypto.randomUUID() } }),
  ];
  await story.settle();
  const waiting = async () =>
    (await rows('&status=parked')).filter(({ waitsFor }) => waitsFor === 'operator');
  expect(await waiting()).toEqual([]);
  await until(async () => {
    await sql(
      `update inbox set next_signal_at = clock_timestamp() where status = 'parked' and next_signal_at is not null`,
    );
    return (await waiting()).length === 2;
  });
  const signals = async () =>
    (await sql('select id, signals, attempts from inbox where id = any($1) order by id', [ids])).rows;
  const before = await signals();
  // Only an operator, or a change of the object, makes it due again.
  await story.buy(team, 'pack_1000');
  expect(await signals()).toEqual(before);
  await story.call('POST', `/v1/inbox/${ids[0]}/retry`);
  await until(async () => JSON.stringify(await signals()) !== JSON.stringify(before));
  await until(async () => (await waiting()).length === 2);
});

test('an order of another product of the organisation is recorded once, with ids only, and deleted later', async () => {
  const order = {
    id: crypto.randomUUID(),
    metadata: { sku: 'mug' },
    customer: { name: 'Someone', external_id: 'user_9' },
  };
  const first = await deliverOrder(order);
  expect(await deliverOrder(order)).toBe(first);
  await story.deliver({
    type: 'refund.created',
    timestamp: null,
    data: {
      id: crypto.randomUUID(),
      order_id: order.id,
      status: 'succeeded',
      amount: 5,
      created_at: '2040-01-31T10:00:00Z',
    },
  });
  const found = await rows();
  expect(found.filter(({ status }) => status === 'parked')).toEqual([]);
  expect(found.map(({ type, status }) => [type, status]).sort()).toEqual([
    ['order.paid', 'ignored'],
    ['refund.created', 'ignored'],
  ]);
  const { rows: stored } = await sql(`select payload->'data' as data from inbox where id = $1`, [first]);
  expect(Object.keys(stored[0].data).sort()).toEqual(['customer_id', 'id', 'product_id']);

  await story.skipTo('2040-03-15T00:00:00Z');
  const { cutOldPayloads } = await import('../../inbox/cut-payloads.ts');
  await cutOldPayloads(story.database.pool);
  expect(await rows()).toEqual([]);
});
