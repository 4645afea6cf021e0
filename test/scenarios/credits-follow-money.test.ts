import { afterEach, expect, test } from '@jest/globals';
import { publishCatalog } from '../../catalog/versions.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

let story: Story;
afterEach(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

const available = async (team: string) => Number((await story.balance(team)).available);

/** Spends all available credits of the team. Returns the amount. */
async function spendAll(team: string): Promise<number> {
  const halves = Math.floor(2 * (await available(team)));
  if (halves > 0) await story.spend(team, halves / 2);
  return halves / 2;
}

async function begin(begins: string, plan?: string, more: object = {}): Promise<string> {
  story = await startStory(begins);
  const team = await story.signUp('ada');
  await spendAll(team);
  if (plan) await checkOut(team, plan, more);
  return team;
}

/** Pays for a product at Polar with a discount, which our checkout does not offer. */
async function checkOut(team: string, product: string, more: object = {}): Promise<void> {
  if (Object.keys(more).length === 0) return story.buy(team, product);
  const { customer_id } = await story.polar.checkouts.get(await story.checkOut(team, product));
  const checkout = await story.polar.checkouts.create({
    products: [await story.productOf(product)],
    customer_id: String(customer_id),
    metadata: { team_id: team },
    ...more,
  });
  await story.control(`/checkouts/${checkout.id}/pay`);
  await story.settle();
}

/** As the customer portal does: with the organisation's default, unless a behaviour is given. */
const change = async (team: string, plan: string, behavior?: string) =>
  story.changePlan(await story.subscriptionOf(team), plan, behavior);

test.each([['invoice'], [undefined]])(
  'switching the interval six times (%s) spends no more than the money that was kept bought',
  async (behavior) => {
    const team = await begin('2040-01-01T00:00:00Z', 'pro_monthly');
    let spent = await spendAll(team);
    for (let minute = 1; minute <= 6; minute += 1) {
      await story.advanceTo(new Date(Date.UTC(2040, 0, 1, 0, minute)).toISOString());
      await change(team, minute % 2 === 1 ? 'pro_yearly' : 'pro_monthly', behavior);
      spent += await spendAll(team);
    }
    expect(spent).toBeGreaterThanOrEqual(6_000);
    expect(spent).toBeLessThan(6_010);
  },
);

test('a portal upgrade that is undone a second later grants no month of the larger plan for the smaller price', async () => {
  const team = await begin('2040-01-01T00:00:00Z', 'starter_monthly');
  const spentIn: number[] = [];
  for (const month of ['01', '02', '03', '04']) {
    await story.advanceTo(`2040-${month}-01T01:00:00Z`);
    let spent = await spendAll(team);
    await change(team, 'pro_monthly', 'invoice');
    spent += await spendAll(team);
    await story.advanceTo(`2040-${month}-01T01:00:01Z`);
    await change(team, 'starter_monthly', 'invoice');
    spent += await spendAll(team);
    spentIn.push(spent);
  }
  const [first = 0, ...later] = spentIn;
  expect(first).toBeLessThan(6_000);
  for (const spent of later) {
    expect(spent).toBeGreaterThan(1_900);
    expect(spent).toBeLessThan(2_100);
  }
});

test('if Polar moves a cycle’s end back, its credits live until the new end, and a change in between is a share of it', async () => {
  const team = await begin('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.advanceTo('2040-01-20T00:00:00Z');
  await story.polar.subscriptions.update(await story.subscriptionOf(team), {
    current_billing_period_end: '2040-02-15T00:00:00.000Z',
  });
  await story.settle();
  expect((await story.balance(team)).nextExpiry?.at).toBe('2040-02-15T01:00:00.000Z');
  await story.advanceTo('2040-02-05T00:00:00Z');
  expect(await available(team)).toBe(2_000);
  await change(team, 'pro_monthly', 'invoice');
  expect(await available(team)).toBeCloseTo(2_000 + (4_000 * 10) / 45, 5);
});

test('if Polar moves a cycle’s end forward, its credits end then, and a change in between is a share of it', async () => {
  const team = await begin('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.advanceTo('2040-01-05T00:00:00Z');
  await story.polar.subscriptions.update(await story.subscriptionOf(team), {
    current_billing_period_end: '2040-01-12T00:00:00.000Z',
  });
  await story.settle();
  await story.advanceTo('2040-01-10T00:00:00Z');
  await change(team, 'pro_monthly', 'invoice');
  expect(await available(team)).toBeCloseTo(2_000 + (4_000 * 2) / 11, 5);
  expect((await story.balance(team)).nextExpiry?.at).toBe('2040-01-12T01:00:00.000Z');
});

test('with a 100 % discount a change of plan or interval grants the same as with money', async () => {
  const team = await begin('2040-01-01T00:00:00Z');
  const gift = await story.polar.discounts.create({
    ...{ name: 'Friends', type: 'percentage', basis_points: 10_000, duration: 'forever' },
  });
  await checkOut(team, 'starter_monthly', { discount_id: gift.id });
  await story.advanceTo('2040-01-16T12:00:00Z'); // half of January is left
  await change(team, 'pro_monthly', 'invoice');
  expect(await available(team)).toBe(4_000);
  await change(team, 'pro_yearly', 'invoice');
  expect(await available(team)).toBe(6_000);
  await story.advanceTo('2040-02-16T12:00:00Z');
  expect(await available(team)).toBe(12_000);
});

test.each([
  ['a change of interval', 'pro_yearly', 'invoice', 6_000, 12_000],
  ['a reset', 'pro_monthly', 'reset', 6_000, 6_000],
])('%s whose lines have no period begins a cycle at the change', async (_, plan, behavior, now, later) => {
  const team = await begin('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.control('/settings', { item_timestamps: false, reset_proration_behavior_enabled: true });
  await spendAll(team);
  await story.advanceTo('2040-01-31T00:00:00Z');
  await change(team, plan, behavior);
  const { debt } = await story.balance(team);
  expect((await available(team)) + 2_000 / 31).toBeGreaterThanOrEqual(now - 0.001);
  expect(debt).toBe('0');
  await story.advanceTo('2040-02-29T12:00:00Z');
  expect((await available(team)) + 2_000 / 31).toBeGreaterThanOrEqual(later - 0.001);
  expect(await available(team)).toBeLessThanOrEqual(later);
});

test('reinstated after its end is known: the credits that had expired come back', async () => {
  const team = await begin('2040-01-31T10:00:00Z', 'pro_monthly');
  const subscription = await story.subscriptionOf(team);
  await story.control(`/subscriptions/${subscription}/revoke`);
  await story.settle();
  expect(await available(team)).toBe(0);
  await story.advanceTo('2040-02-01T10:00:00Z');
  await story.control(`/subscriptions/${subscription}/reinstate`);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({
    available: '6000',
    nextExpiry: { at: '2040-02-29T11:00:00.000Z', credits: '6000' },
  });
});

test('a dispute that is won after the cycle has ended gives the paid credits back for seven days', async () => {
  const team = await begin('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.buy(team, 'pack_5000');
  const pack = (await story.ordersOf(team)).find(({ billing_reason }) => billing_reason === 'purchase');
  await spendAll(team); // all credits of the plan and the pack
  await story.advanceTo('2040-02-01T00:30:00Z'); // 2,000 of February
  const dispute = await story.control<{ id: string }>(`/orders/${pack?.id}/dispute`);
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ available: '0', debt: '3000' });
  await story.advanceTo('2040-03-01T00:30:00Z'); // March's 2,000 settle as well
  expect(await story.balance(team)).toMatchObject({ available: '0', debt: '1000' });
  await story.advanceTo('2040-03-20T00:00:00Z');
  await story.control(`/disputes/${dispute.id}/win`);
  await story.reconcile();
  // February's 2,000 have expired by now, so they live seven days. March's live as long as March.
  expect(await story.balance(team)).toMatchObject({ available: '4000', debt: '0' });
  await story.advanceTo('2040-03-29T00:00:00Z');
  expect(await available(team)).toBe(2_000);
});

test('revoked on the fifth and known five weeks later: nothing is spendable, because that was not our delay', async () => {
  const team = await begin('2040-01-01T00:00:00Z');
  await story.withoutWebhooks(async () => {
    await story.buy(team, 'pro_monthly');
    await story.skipTo('2040-01-05T00:00:00Z');
    const { items } = await story.polar.subscriptions.list({ external_customer_id: team });
    await story.control(`/subscriptions/${items[0]?.id}/revoke`);
  });
  await story.advanceTo('2040-02-10T00:00:00Z');
  await story.reconcile({ everything: true });
  const { grants } = await story.balance(team);
  expect(grants.find(({ source }) => source === 'subscription')).toMatchObject({
    granted: '6000',
    expired: '6000',
  });
  expect(await available(team)).toBe(0);
});

test('a pack grants the credits of its checkout’s catalog version, even if a newer one is published before it is paid', async () => {
  const team = await begin('2040-01-01T00:00:00Z');
  const checkout = await story.checkOut(team, 'pack_5000');
  await publishCatalog(story.database, {
    ...story.catalog,
    packs: story.catalog.packs.map((pack) => ({
      ...pack,
      credits: pack.key === 'pack_5000' ? 4_000_000_000n : pack.credits,
    })),
  });
  // Each process uses the new version within a second.
  await until(async () => {
    const { packs } = await story.call<{ packs: { credits: string }[] }>('GET', '/v1/catalog');
    return packs.some(({ credits }) => credits === '4000');
  });
  await story.control(`/checkouts/${checkout}/pay`);
  await story.settle();
  expect((await story.balance(team)).grants.find(({ source }) => source === 'purchase')?.granted).toBe(
    '5000',
  );
  await story.buy(team, 'pack_5000');
  const packs = (await story.balance(team)).grants.filter(({ source }) => source === 'purchase');
  expect(packs.map(({ granted }) => granted).sort()).toEqual(['4000', '5000']);
});

test('an adjustment down counts as use, unless it names the order', async () => {
  const team = await begin('2040-01-01T00:00:00Z');
  const bought = async () => {
    await story.buy(team, 'pack_1000');
    return String((await story.ordersOf(team)).at(-1)?.id);
  };
  const refundHalf = async (id: string) => {
    await story.control(`/orders/${id}/refund`, { amount: 600 });
    await story.settle();
  };
  const take = (body: object) =>
    story.call('POST', `/v1/teams/${team}/adjustments`, { credits: '-600', reason: 'a mistake', ...body });

  const first = await bought();
  await take({});
  await refundHalf(first);
  expect(await story.balance(team)).toMatchObject({ available: '0', debt: '100' });
  const second = await bought(); // 100 of it settle the debt
  await take({ orderId: second });
  await refundHalf(second);
  expect(await story.balance(team)).toMatchObject({ available: '300', debt: '0' });
});

test('money that buys nothing is parked until it is refunded', async () => {
  const team = await begin('2040-01-01T00:00:00Z');
  const product = await story.productOf('starter_monthly');
  const period = { current_period_start: '2040-01-01T00:00:00Z', current_period_end: '2040-02-01T00:00:00Z' };
  const subscription = {
    ...{ id: crypto.randomUUID(), created_at: '2040-01-01T00:00:00Z', status: 'active', ...period },
    ...{ cancel_at_period_end: false, started_at: '2040-01-01T00:00:00Z', product_id: product },
    metadata: { team_id: team },
  };
  const paid = (more: object) => ({
    type: 'order.paid',
    timestamp: '2040-01-01T00:00:01Z',
    data: {
      ...{ id: crypto.randomUUID(), created_at: '2040-01-01T00:00:01Z', status: 'paid', paid: true },
      ...{ billing_reason: 'subscription_create', net_amount: 1_900, currency: 'usd', product_id: product },
      ...{ metadata: { team_id: team }, subscription_id: subscription.id, subscription, items: [], ...more },
    },
  });
  const line = { amount: 1_900, proration: false, start_timestamp: null, end_timestamp: null };
  const unitsOfAPlan = paid({ units: 3, items: [line] });
  await story.deliver(paid({})); // no lines
  await story.deliver(unitsOfAPlan);
  await story.settle();
  const parked = async () =>
    (await story.inbox(team)).flatMap(({ parkedCode }) => (parkedCode ? [parkedCode] : []));
  expect(await parked()).toEqual(['money_without_credits', 'money_without_credits']);
  expect(await available(team)).toBe(0);

  // Named, not embedded: our database has it.
  await story.deliver({ type: 'subscription.active', timestamp: '2040-01-01T00:00:00Z', data: subscription });
  await story.deliver(paid({ subscription: null, items: [line] }));
  await story.settle();
  expect(await available(team)).toBe(2_000);

  const { data } = unitsOfAPlan;
  await story.deliver({
    type: 'order.refunded',
    timestamp: '2040-01-02T00:00:00Z',
    data: { ...data, status: 'refunded', refunded_amount: 1_900, modified_at: '2040-01-02T00:00:00Z' },
  });
  await until(async () => (await parked()).length === 1);
});

test('a refund needs only the order: its product may be deleted', async () => {
  const team = await begin('2040-01-01T00:00:00Z');
  for (const product of [{ product_id: null, product: null }, { product_id: crypto.randomUUID() }]) {
    await story.buy(team, 'pack_1000');
    const order = (await story.ordersOf(team)).at(-1);
    await story.deliver({
      type: 'order.refunded',
      timestamp: '2040-01-01T00:10:00Z',
      data: {
        ...order,
        ...product,
        status: 'refunded',
        refunded_amount: 1_200,
        modified_at: '2040-01-01T00:10:00Z',
      },
    });
    await story.settle();
    expect(await available(team)).toBe(0);
  }
});
