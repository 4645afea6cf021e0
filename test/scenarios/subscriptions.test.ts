import { afterEach, expect, test } from '@jest/globals';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

let story: Story;
afterEach(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

/** A story that begins with a team whose trial is spent and that has just paid for a plan. */
async function subscribed(
  begins: string,
  plan = 'pro_monthly',
): Promise<{ team: string; subscription: string }> {
  story = await startStory(begins);
  const team = await story.signUp('ada');
  await spendAll(team);
  await story.buy(team, plan);
  return { team, subscription: await story.subscriptionOf(team) };
}

async function spendAll(team: string): Promise<void> {
  await story.spend(team, Number(await available(team)));
}

const preview = (team: string, plan: string) =>
  story.call('GET', `/v1/teams/${team}/subscription/preview?plan=${plan}`);
const available = async (team: string) => (await story.balance(team)).available;
const granted = async (team: string) =>
  (await story.balance(team)).grants
    .filter(({ source }) => source === 'subscription')
    .map((grant) => grant.granted)
    .reverse();

test('cancelled at period end, credits live exactly until then, without the grace', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  expect((await story.balance(team)).nextExpiry?.at).toBe('2040-02-29T11:00:00.000Z');
  await story.control(`/subscriptions/${subscription}/cancel`);
  await story.settle();
  expect((await story.balance(team)).nextExpiry).toEqual({ at: '2040-02-29T10:00:00.000Z', credits: '6000' });

  await story.advanceTo('2040-02-29T09:59:59Z');
  expect(await available(team)).toBe('6000');
  await story.advanceTo('2040-02-29T10:00:00Z');
  expect(await available(team)).toBe('0');
  await story.advanceTo('2040-05-01T00:00:00Z');
  expect(await granted(team)).toEqual(['6000']);
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toBeNull();
});

test('cancelled, uncancelled and cancelled again: the last one counts', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  for (const word of ['cancel', 'uncancel', 'cancel', 'uncancel'] as const) {
    await story.control(`/subscriptions/${subscription}/${word}`);
    await story.settle();
  }
  expect((await story.balance(team)).nextExpiry?.at).toBe('2040-02-29T11:00:00.000Z');
  const { rows } = await story.database.pool.query<{ reason: string }>(
    'select reason from grant_expiry_changes order by id',
  );
  expect(rows.map(({ reason }) => reason)).toEqual([
    'cancelled at period end',
    'no longer cancelled',
    'cancelled at period end',
    'no longer cancelled',
  ]);
  await story.advanceTo('2040-02-29T10:30:00Z');
  expect(await granted(team)).toEqual(['6000', '6000']);
});

test('revoked now, the cycle’s credits expire at once and a pack’s stay', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  await story.buy(team, 'pack_1000');
  await story.advanceTo('2040-02-10T00:00:00Z');
  await story.control(`/subscriptions/${subscription}/revoke`);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({
    available: '1000',
    bySource: { subscription: '0', purchase: '1000' },
  });
});

test('reinstated before its end is known: nothing expires, because Polar’s current state is fetched first', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  const [order] = await story.ordersOf(team);
  await story.holdWebhooks();
  await story.advanceTo('2040-02-10T00:00:00Z');
  await story.control(`/subscriptions/${subscription}/revoke`);
  // Its order also contains the ended subscription.
  await story.control(`/orders/${order?.id}/refund`, { amount: 1 });
  await story.control(`/subscriptions/${subscription}/reinstate`);
  await story.releaseWebhooks();
  expect(await available(team)).toBe('5998.775511');
});

test('past due for 20 days, then paid: the old credits live until the end of the hour of grace, the rest of the cycle is granted, the next allotment comes on its day, a pack is not affected', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  await story.buy(team, 'pack_1000');
  await story.control(`/subscriptions/${subscription}/fail-next-payment`, { times: 4 });
  await story.advanceTo('2040-02-29T10:59:59Z');
  expect(await story.balance(team)).toMatchObject({ bySource: { subscription: '6000', purchase: '1000' } });
  // The renewal, and Polar's retries after 2, 7 and 14 days.
  for (const day of ['02-29', '03-02', '03-07', '03-14', '03-20']) {
    await story.advanceTo(`2040-${day}T11:00:00Z`);
    expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({ status: 'past_due' });
    expect(await granted(team)).toEqual(['6000']);
    expect(await story.balance(team)).toMatchObject({
      available: '1000',
      bySource: { subscription: '0', purchase: '1000' },
    });
  }
  await story.control(`/subscriptions/${subscription}/pay-past-due`);
  await story.settle();
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({ status: 'active' });
  expect(await story.balance(team)).toMatchObject({
    bySource: { subscription: '6000', purchase: '1000' },
    nextExpiry: { at: '2040-03-31T11:00:00.000Z', credits: '6000' },
  });
  await story.advanceTo('2040-04-01T00:00:00Z');
  expect(await granted(team)).toEqual(['6000', '6000', '6000']);
  expect(await story.balance(team)).toMatchObject({
    bySource: { subscription: '6000', purchase: '1000' },
    nextExpiry: { at: '2040-04-30T11:00:00.000Z', credits: '6000' },
  });
});

test.each([
  ['told as it happens', false],
  ['told newest first', true],
])(
  'a pack bought in the same minute as a renewal, %s: the old cycle ends, the new one and the pack are there',
  async (_, shuffled) => {
    const { team } = await subscribed('2040-01-31T10:00:00Z');
    await story.spend(team, 1_000);
    await story.skipTo('2040-02-29T10:00:20Z');
    const checkout = await story.checkOut(team, 'pack_1000');
    if (shuffled) await story.holdWebhooks();
    await Promise.all([
      story.emulator.renewDue(),
      story.control(`/checkouts/${checkout}/pay`),
      story.spend(team, 1),
    ]);
    if (shuffled) await story.releaseWebhooks();
    await story.settle();
    await story.advanceTo('2040-02-29T12:00:00Z');
    const { grants, bySource } = await story.balance(team);
    expect(grants.reduce((sum, { consumed }) => sum + Number(consumed), 0)).toBe(500 + 1_000 + 1);
    expect(['6000', '5999']).toContain(bySource.subscription); // the last spend may have come before the renewal
    expect(bySource.purchase).toBe('1000');
    expect(grants.filter(({ source }) => source === 'subscription')).toEqual([
      expect.objectContaining({ granted: '6000', expired: '0', expiresAt: '2040-03-31T11:00:00.000Z' }),
      expect.objectContaining({ granted: '6000', available: '0', revoked: '0' }),
    ]);
    await story.advanceTo('2040-03-31T12:00:00Z');
    expect(await story.balance(team)).toMatchObject({ bySource: { subscription: '6000', purchase: '1000' } });
  },
);

test('a payment that takes a minute stops no spend: the old allotment ends when the new one arrives', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  await story.control(`/subscriptions/${subscription}/fail-next-payment`);
  await story.advanceTo('2040-02-29T10:01:00Z');
  expect(await available(team)).toBe('6000');
  await story.control(`/subscriptions/${subscription}/pay-past-due`);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({
    available: '6000',
    nextExpiry: { at: '2040-03-31T11:00:00.000Z' },
  });
  expect(await granted(team)).toEqual(['6000', '6000']);
});

test('after 21 days of failed payments, the unpaid period grants nothing', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  await story.control(`/subscriptions/${subscription}/fail-next-payment`, { times: 10 });
  for (const day of ['2040-03-02', '2040-03-07', '2040-03-14', '2040-03-21', '2040-03-22'])
    await story.advanceTo(`${day}T10:00:01Z`);
  expect(await granted(team)).toEqual(['6000']);
  expect(await available(team)).toBe('0');
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toBeNull();
});

test('a Polar trial grants nothing at its start, and the allotment when it is converted', async () => {
  story = await startStory('2040-01-31T10:00:00Z');
  const team = await story.signUp('ada');
  await spendAll(team);
  const ours = await story.polar.checkouts.get(await story.checkOut(team, 'pack_1000'));
  const checkout = await story.polar.checkouts.create({
    products: [await story.productOf('pro_monthly')],
    customer_id: String(ours.customer_id),
    metadata: { team_id: team },
    trial_interval: 'week',
    trial_interval_count: 1,
  });
  await story.control(`/checkouts/${checkout.id}/pay`);
  await story.settle();
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({ status: 'trialing' });
  expect(await available(team)).toBe('0');
  expect((await story.inbox(team)).at(-1)?.status).toBe('handled');

  await story.advanceTo('2040-02-07T10:00:00Z');
  expect(await story.balance(team)).toMatchObject({
    available: '6000',
    nextExpiry: { at: '2040-03-07T11:00:00.000Z' },
  });
});

test('an order with a discount of 100 % is paid: it grants, and a refund of 0 takes nothing', async () => {
  story = await startStory('2040-01-31T10:00:00Z');
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  const [order] = await story.ordersOf(team);
  const discount = await story.polar.discounts.create({
    name: 'Friends',
    type: 'percentage',
    basis_points: 10_000,
    duration: 'forever',
  });
  const checkout = await story.polar.checkouts.create({
    products: [await story.productOf('pro_monthly')],
    customer_id: String(order?.customer_id),
    metadata: { team_id: team },
    discount_id: discount.id,
  });
  await story.control(`/checkouts/${checkout.id}/pay`);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({ bySource: { subscription: '6000', purchase: '1000' } });
  await story.advanceTo('2040-02-29T10:30:00Z');
  expect(await granted(team)).toEqual(['6000', '6000']);
});

test.each([
  ['2040-02-29', '02-29 03-29 04-29 05-29 06-29 07-29 08-29 09-29 10-29 11-29 12-29 01-29', '2041-02-28'],
  ['2041-01-31', '01-31 02-28 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31', '2042-01-31'],
])(
  'a yearly plan of %s drips on its anchor day and its parts add up to the year',
  async (day, drips, end) => {
    const { team } = await subscribed(`${day}T10:00:00Z`, 'pro_yearly');
    expect(await story.balance(team)).toMatchObject({
      available: '6000',
      nextExpiry: { at: `${end}T11:00:00.000Z` },
    });
    await story.advanceTo(`${end}T09:59:59Z`);
    const { rows } = await story.database.pool.query<{ day: string; granted: string; created: string }>(
      `select to_char(effective_at at time zone 'UTC', 'MM-DD') as day, granted,
            to_char(created_at at time zone 'UTC', 'MM-DD') as created
       from grants where source = 'subscription' order by effective_at`,
    );
    expect(rows.map((row) => row.day).join(' ')).toBe(drips);
    expect(rows.map((row) => row.created).join(' ')).toBe(drips); // each on its day, not later
    expect(rows.reduce((sum, row) => sum + BigInt(row.granted), 0n)).toBe(72_000_000_000n);
    expect(await available(team)).toBe('72000');

    await story.advanceTo(`${end}T11:30:00Z`);
    expect(await available(team)).toBe('6000');
  },
);

test('a revoked yearly plan has no further drips', async () => {
  const { team, subscription } = await subscribed('2040-02-29T10:00:00Z', 'pro_yearly');
  await story.advanceTo('2040-04-01T00:00:00Z');
  expect(await available(team)).toBe('12000');
  await story.control(`/subscriptions/${subscription}/revoke`);
  await story.settle();
  await story.advanceTo('2040-08-01T00:00:00Z');
  expect(await granted(team)).toEqual(['6000', '6000']);
  expect(await available(team)).toBe('0');
});

test('a yearly plan that is cancelled drips on until its end, and then all of it expires', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z', 'pro_yearly');
  await story.advanceTo('2040-03-15T00:00:00Z');
  await story.control(`/subscriptions/${subscription}/cancel`);
  await story.settle();
  await story.advanceTo('2041-01-31T09:59:59Z');
  expect(await story.balance(team)).toMatchObject({
    available: '72000',
    nextExpiry: { at: '2041-01-31T10:00:00.000Z', credits: '72000' },
  });
  await story.advanceTo('2041-03-01T00:00:00Z');
  expect(await available(team)).toBe('0');
  expect(await granted(team)).toHaveLength(12);
});

test('a change from yearly to monthly closes the year and ends its drips', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z', 'pro_yearly');
  await story.advanceTo('2040-03-15T00:00:00Z');
  expect(await available(team)).toBe('12000');
  await story.changePlan(subscription, 'starter_monthly', 'invoice');
  expect(await story.balance(team)).toMatchObject({
    available: '2000',
    nextExpiry: { at: '2040-04-15T01:00:00.000Z', credits: '2000' },
  });
  await story.advanceTo('2040-05-20T00:00:00Z');
  expect(await granted(team)).toEqual(['6000', '6000', '2000', '2000', '2000']);
  expect(await available(team)).toBe('2000');
});

test('paused at the end of its cycle, a subscription grants nothing until it is resumed', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  await story.control(`/subscriptions/${subscription}/pause`);
  await story.advanceTo('2040-04-10T10:00:00Z');
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({ status: 'paused' });
  expect(await available(team)).toBe('0');
  expect(await granted(team)).toEqual(['6000']);
  await story.control(`/subscriptions/${subscription}/resume`);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({
    available: '6000',
    nextExpiry: { at: '2040-05-10T11:00:00.000Z', credits: '6000' },
  });
});

test('an upgrade within a cycle grants the difference for the rest of the cycle; a downgrade takes it, an upgrade gives it back', async () => {
  const { team, subscription } = await subscribed('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.advanceTo('2040-01-16T12:00:00Z'); // half of January is left
  const change = (plan: string) => story.changePlan(subscription, plan, 'invoice');
  await change('pro_monthly');
  expect(await granted(team)).toEqual(['2000', '2000']);
  expect((await story.balance(team)).nextExpiry).toEqual({ at: '2040-02-01T01:00:00.000Z', credits: '4000' });

  for (const plan of ['starter_monthly', 'pro_monthly', 'starter_monthly', 'pro_monthly']) {
    await change(plan);
    const credits = plan === 'pro_monthly' ? '4000' : '2000';
    expect({ plan, available: await available(team) }).toEqual({ plan, available: credits });
  }
  expect((await story.inbox(team)).filter(({ status }) => status !== 'handled')).toEqual([]);
  await story.advanceTo('2040-02-01T00:30:00Z');
  expect(await available(team)).toBe('6000');
});

test('upgrade, downgrade, upgrade on three days of one cycle: credits follow the time on each plan, and the next cycle has the larger plan’s allotment', async () => {
  const { team, subscription } = await subscribed('2040-01-01T00:00:00Z', 'starter_monthly');
  const change = async (day: string, plan: string) => {
    await story.advanceTo(`2040-01-${day}`);
    await story.changePlan(subscription, plan, 'invoice');
  };
  await change('16T12:00:00Z', 'pro_monthly'); // half of January is left
  expect(await available(team)).toBe('4000');
  await change('20T00:00:00Z', 'starter_monthly');
  await change('25T00:00:00Z', 'pro_monthly');
  // 4,000 more for 15.5 days, less 4,000 for the last 12 of them, more again for the last 7: of 31 days.
  expect(await available(team)).toBe('3354.83871');
  await story.advanceTo('2040-02-01T00:30:00Z');
  expect(await available(team)).toBe('6000');
  expect((await story.inbox(team)).filter(({ status }) => status !== 'handled')).toEqual([]);
});

test('upgrade, downgrade, upgrade through our API: the downgrade waits for the next cycle and is undone', async () => {
  const { team } = await subscribed('2040-01-01T00:00:00Z', 'starter_monthly');
  for (const [day, plan] of [
    ['16T12:00:00Z', 'pro_monthly'],
    ['20T00:00:00Z', 'starter_monthly'],
    ['25T00:00:00Z', 'pro_monthly'],
  ]) {
    await story.advanceTo(`2040-01-${day}`);
    await story.call('POST', `/v1/teams/${team}/subscription/change`, { plan });
    await story.settle();
    expect(await available(team)).toBe('4000');
  }
  expect(await story.ordersOf(team)).toHaveLength(2); // the month, and one invoice for the difference
  await story.advanceTo('2040-02-01T00:30:00Z');
  expect(await available(team)).toBe('6000');
});

test('an upgrade that Polar’s portal puts on the next invoice is granted when that is paid', async () => {
  const { team, subscription } = await subscribed('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.advanceTo('2040-01-16T12:00:00Z');
  await story.changePlan(subscription, 'pro_monthly', 'prorate');
  expect(await available(team)).toBe('2000');
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({ plan: 'pro_monthly' });
  await story.advanceTo('2040-02-01T00:30:00Z');
  // January's upgrade was paid with February's money, and lives as long as that.
  expect(await granted(team)).toEqual(expect.arrayContaining(['2000', '2000', '6000']));
  expect(await story.balance(team)).toMatchObject({
    available: '8000',
    nextExpiry: { at: '2040-03-01T01:00:00.000Z', credits: '8000' },
  });
});

test('an upgrade that begins a new period closes the old cycle and grants the whole allotment', async () => {
  const { team, subscription } = await subscribed('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.buy(team, 'pack_1000');
  await story.advanceTo('2040-01-16T12:00:00Z');
  await story.control('/settings', { reset_proration_behavior_enabled: true });
  await story.changePlan(subscription, 'pro_monthly', 'reset');
  expect(await story.balance(team)).toMatchObject({
    bySource: { subscription: '6000', purchase: '1000' },
    nextExpiry: { at: '2040-02-16T13:00:00.000Z', credits: '6000' },
  });
  await story.advanceTo('2040-02-16T12:30:00Z');
  expect(await granted(team)).toEqual(['2000', '6000', '6000']);
  expect(await story.balance(team)).toMatchObject({ bySource: { subscription: '6000', purchase: '1000' } });
});

test('our API upgrades at once and downgrades with the next cycle', async () => {
  const { team } = await subscribed('2040-01-01T00:00:00Z', 'starter_monthly');
  await story.advanceTo('2040-01-16T12:00:00Z');
  const change = (plan: string) => story.call('POST', `/v1/teams/${team}/subscription/change`, { plan });
  expect(await preview(team, 'pro_monthly')).toMatchObject({
    currentPlan: 'starter_monthly',
    effect: 'now',
    payment: { amount: 1500, currency: 'usd', isEstimate: true, lines: [{ amount: -950 }, { amount: 2450 }] },
    creditsGranted: '2000',
    creditsTaken: '0',
    unused: { credits: '2000', until: '2040-02-01T01:00:00.000Z' },
    nextCycle: { at: '2040-02-01T00:00:00.000Z', amount: 4900, credits: '6000' },
  });
  await change('pro_monthly');
  await story.settle();
  expect(await available(team)).toBe('4000');
  expect((await story.ordersOf(team)).map(({ net_amount }) => net_amount).sort()).toEqual([1500, 1900]);

  expect(await preview(team, 'starter_monthly')).toMatchObject({
    effect: 'next_cycle',
    effectiveAt: '2040-02-01T00:00:00.000Z',
    payment: { amount: 0, lines: [] },
    creditsGranted: '0',
    creditsTaken: '0',
    unused: { credits: '4000' },
    nextCycle: { at: '2040-02-01T00:00:00.000Z', amount: 1900, credits: '2000' },
  });
  await change('starter_monthly');
  await story.settle();
  expect(await available(team)).toBe('4000');
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({
    plan: 'pro_monthly',
    scheduledChange: { plan: 'starter_monthly', at: '2040-02-01T00:00:00.000Z' },
    nextAllotment: { credits: '2000' },
  });
  expect(await preview(team, 'starter_monthly')).toMatchObject({
    effect: 'unchanged',
    payment: { amount: 0 },
  });
  expect(await preview(team, 'pro_monthly')).toMatchObject({ effect: 'undo', payment: { amount: 0 } });
  await story.advanceTo('2040-02-01T00:30:00Z');
  expect(await available(team)).toBe('2000');
});

test('a change from a plan that the catalog does not know is not previewed as no change', async () => {
  const { team, subscription } = await subscribed('2040-01-01T00:00:00Z', 'starter_monthly');
  const foreign = await story.polar.products.create({
    name: 'A plan of another catalog',
    recurring_interval: 'month',
    prices: [{ amount_type: 'fixed', price_amount: 1_000 }],
  });
  await story.control(`/subscriptions/${subscription}/change-plan`, {
    product_id: foreign.id,
    proration_behavior: 'next_period',
  });
  await story.advanceTo('2040-02-01T00:30:00Z');
  await expect(preview(team, 'pro_monthly')).rejects.toThrow('unknown_product');
});

test('a change from monthly to yearly closes the month and drips like any other yearly plan', async () => {
  const { team, subscription } = await subscribed('2040-01-01T00:00:00Z');
  await story.advanceTo('2040-01-16T12:00:00Z');
  // Half of the month's credits go with its money, and the other half ends with the month.
  expect(await preview(team, 'pro_yearly')).toMatchObject({
    effect: 'now',
    payment: { amount: 46_550, lines: [{ amount: -2_450 }, { amount: 49_000 }] },
    creditsGranted: '6000',
    creditsTaken: '3000',
    unused: { credits: '3000', until: '2040-01-16T12:00:00.000Z' },
    nextCycle: { at: '2041-01-16T12:00:00.000Z', amount: 49_000, credits: '6000' },
  });
  await story.changePlan(subscription, 'pro_yearly', 'invoice');
  expect((await story.ordersOf(team)).map(({ net_amount }) => net_amount)).toContain(46_550);
  expect(await story.balance(team)).toMatchObject({
    available: '6000',
    nextExpiry: { at: '2041-01-16T13:00:00.000Z', credits: '6000' },
  });
  await story.advanceTo('2040-02-16T12:30:00Z');
  expect(await available(team)).toBe('12000');
});

test('an older state that arrives after a newer one changes nothing', async () => {
  const { team, subscription } = await subscribed('2040-01-31T10:00:00Z');
  await story.holdWebhooks();
  await story.advanceTo('2040-02-05T00:00:00Z');
  await story.control(`/subscriptions/${subscription}/cancel`);
  await story.advanceTo('2040-02-06T00:00:00Z');
  await story.control(`/subscriptions/${subscription}/uncancel`);
  await story.releaseWebhooks();
  expect((await story.balance(team)).nextExpiry?.at).toBe('2040-02-29T11:00:00.000Z');
  // Superseded if both waited at the same time, otherwise compared.
  expect((await story.inbox(team)).at(-1)?.outcome).toMatch(/Superseded by a newer state|is already known/);
});

test('an upgrade that arrives before the first payment waits for it, and grants nothing extra', async () => {
  story = await startStory('2040-01-01T00:00:00Z');
  const team = await story.signUp('ada');
  await spendAll(team);
  await story.holdWebhooks();
  await story.buy(team, 'starter_monthly');
  const [first] = await story.ordersOf(team);
  await story.advanceTo('2040-01-16T12:00:00Z');
  await story.changePlan(String(first?.subscription_id), 'pro_monthly', 'invoice');
  await story.releaseWebhooks();
  await until(async () => (await available(team)) === '4000');
  expect(await granted(team)).toEqual(expect.arrayContaining(['2000', '2000']));
});

test('three renewals that arrive at once, newest first, are granted one by one', async () => {
  const { team } = await subscribed('2040-01-31T10:00:00Z');
  await story.holdWebhooks();
  await story.advanceTo('2040-04-30T10:10:00Z');
  expect(await granted(team)).toEqual(['6000']);
  await story.releaseWebhooks();
  expect(await granted(team)).toEqual(['6000', '6000', '6000', '6000']);
  // Both were paid in time and arrived after their cycles' ends because of our delay: they live 7 days.
  expect(await story.balance(team)).toMatchObject({
    available: '18000',
    nextExpiry: { at: '2040-05-07T10:10:00.000Z', credits: '12000' },
  });
});
