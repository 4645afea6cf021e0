import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import { syncProducts } from '../../polar/sync-products.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

let story: Story;
beforeAll(async () => {
  story = await startStory('2040-01-31T10:00:00.000Z');
});
afterAll(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

/** An `order.paid` for one pack of 1,000 credits, as Polar sends it. */
async function paidPack(teamId: string, more: object = {}) {
  return {
    type: 'order.paid',
    timestamp: '2040-01-31T10:00:00.000000Z',
    data: {
      id: crypto.randomUUID(),
      created_at: '2040-01-31T10:00:00.000000Z',
      modified_at: null,
      status: 'paid',
      paid: true,
      billing_reason: 'purchase',
      net_amount: 1_200,
      currency: 'usd',
      customer_id: crypto.randomUUID(),
      product_id: await story.productOf('pack_1000'),
      metadata: { team_id: teamId },
      items: [],
      ...more,
    },
  };
}

test('the same signed webhook sent 50 times at once grants once', async () => {
  const team = await story.signUp('fifty');
  const event = await paidPack(team);
  const id = crypto.randomUUID();
  const answers = await Promise.all(Array.from({ length: 50 }, () => story.deliver(event, { id })));
  expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(202));
  expect(answers.filter(({ body }) => body.stored)).toHaveLength(1);
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);

  await story.settle();
  expect(await story.balance(team)).toMatchObject({ available: '1500', bySource: { purchase: '1000' } });
  expect((await story.inbox(team)).map(({ type, status }) => [type, status])).toEqual([
    ['team.created', 'handled'],
    ['order.paid', 'handled'],
  ]);
});

test('the same order under 20 webhook ids at once grants once', async () => {
  const team = await story.signUp('twenty');
  const event = await paidPack(team);
  await Promise.all(Array.from({ length: 20 }, () => story.deliver(event)));
  await story.settle();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('unknown fields and unknown event types are accepted, with any content', async () => {
  const team = await story.signUp('unknown_fields');
  const novel = await paidPack(team, { novelty: { deep: [1, null, 'x'] }, status: 'partially_gifted' });
  expect(await story.deliver({ ...novel, api_version: '2099-01', extra: true })).toMatchObject({
    status: 202,
  });
  const strange = { type: 'galaxy.collapsed', timestamp: 'never', data: [null] };
  expect(await story.deliver(strange)).toMatchObject({ status: 202 });
  expect(await story.deliver({ type: 'benefit.created' })).toMatchObject({ status: 202 });
  await story.settle();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
  const { data } = await story.call<{ data: { type: string }[] }>('GET', '/v1/inbox?status=ignored');
  expect(data.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['galaxy.collapsed', 'benefit.created']),
  );
});

test('text that Postgres cannot store does not prevent a grant', async () => {
  const team = await story.signUp('odd_text');
  const event = await paidPack(team, { description: 'nul \u0000, half a pair \ud800, "\\u0000" spelt out' });
  expect(await story.deliver(event)).toMatchObject({ status: 202 });
  await story.settle();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('an event without a required field is parked and names the field', async () => {
  const team = await story.signUp('unreadable');
  await story.deliver(await paidPack(team, { net_amount: 'much' }));
  await story.settle();
  expect(await story.inbox(team)).toContainEqual(
    expect.objectContaining({
      status: 'parked',
      parkedCode: 'unreadable_event',
      outcome: expect.stringContaining('order.net_amount'),
    }),
  );
});

test('a stored event without data is parked as unreadable, and later events are applied', async () => {
  const team = await story.signUp('no_data');
  for (const type of ['order.paid', 'subscription.updated', 'refund.created', 'customer.deleted']) {
    await storeInboxEvent(story.database.fork(), {
      teamId: team,
      source: 'polar',
      type,
      externalId: crypto.randomUUID(),
      payload: { type },
    });
  }
  await story.deliver(await paidPack(team));
  await story.settle();
  const stored = (await story.inbox(team)).filter(({ type }) => type !== 'team.created');
  expect(stored.slice(0, 4).map(({ parkedCode }) => parkedCode)).toEqual(Array(4).fill('unreadable_event'));
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('an event whose order Polar answers without a required field is parked and names the field', async () => {
  const team = await story.signUp('unreadable_answer');
  const paid = await paidPack(team);
  await story.deliver(paid);
  await story.settle();
  const { id: order_id } = paid.data;
  const fault = { target: 'api', method: 'GET', path: `/v1/orders/${order_id}`, status: 200 };
  await story.control('/faults', { ...fault, body: { id: order_id } });
  const { timestamp } = paid;
  const refund = {
    id: crypto.randomUUID(),
    order_id,
    status: 'succeeded',
    amount: 100,
    created_at: timestamp,
  };
  await story.deliver({ type: 'refund.created', timestamp, data: refund });
  await until(async () => (await story.inbox(team)).some(({ status }) => status === 'parked'));
  expect(await story.inbox(team)).toContainEqual(
    expect.objectContaining({
      type: 'refund.created',
      parkedCode: 'unreadable_event',
      outcome: expect.stringContaining('order.status'),
    }),
  );
});

test('an order without a product waits for an operator with its own code, until it is refunded', async () => {
  const team = await story.signUp('wallet');
  const topUp = await paidPack(team, { product_id: null, product: null });
  await story.deliver(topUp);
  await story.settle();
  const [paid] = (await story.inbox(team)).filter(({ type }) => type === 'order.paid');
  expect(paid).toMatchObject({
    status: 'parked',
    parkedCode: 'order_without_product',
    outcome: expect.stringContaining('has no product'),
  });
  const refunded = { ...topUp.data, status: 'refunded', refunded_amount: 1_200 };
  const data = { ...refunded, modified_at: '2040-01-31T10:00:01.000000Z' };
  await story.deliver({ ...topUp, type: 'order.refunded', data });
  await until(async () => (await story.inbox(team)).every(({ status }) => status === 'handled'));
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '0' } });
});

test('an event for an unknown product waits, visibly, and is applied when the product is known', async () => {
  const team = await story.signUp('unknown_product');
  const product = await story.productOf('pack_5000');
  await story.database.pool.query('delete from polar_products where polar_product_id = $1', [product]);
  await story.deliver(await paidPack(team, { product_id: product }));
  await story.settle();
  expect(await story.inbox(team)).toContainEqual(
    expect.objectContaining({ type: 'order.paid', status: 'parked', parkedCode: 'unknown_product' }),
  );
  expect(await story.balance(team)).toMatchObject({ available: '500' });

  await syncProducts(story.polar, story.database, { apply: true });
  await until(async () => (await story.balance(team)).bySource.purchase === '5000');
  expect(await story.inbox(team)).toContainEqual(
    expect.objectContaining({ type: 'order.paid', status: 'handled', parkedCode: null }),
  );
});

test('an event for an unknown team waits, visibly, and is applied when the team exists', async () => {
  const team = uuidv7();
  const answer = await story.deliver(await paidPack(team));
  expect(answer.status).toBe(202);
  const { data } = await story.call<{ data: object[] }>('GET', '/v1/inbox?status=parked');
  expect(data).toContainEqual(
    expect.objectContaining({ id: answer.body.id, teamId: null, parkedCode: 'unknown_team' }),
  );

  await story.signUpAs(team, 'late');
  await until(async () => (await story.balance(team)).available === '1500');
  expect(await story.inbox(team)).toContainEqual(
    expect.objectContaining({ id: answer.body.id, status: 'handled', parkedCode: null }),
  );
});

test('an order that names two teams is parked for an operator, and neither gets credits', async () => {
  const [one, other] = [await story.signUp('one'), await story.signUp('other')];
  const { body } = await story.deliver(await paidPack(one, { customer: { external_id: other } }));
  await story.settle();
  const { data } = await story.call<{ data: object[] }>('GET', '/v1/inbox?status=parked');
  expect(data).toContainEqual(expect.objectContaining({ id: body.id, parkedCode: 'doubtful_team' }));
  for (const team of [one, other]) expect(await story.balance(team)).toMatchObject({ available: '500' });
});
