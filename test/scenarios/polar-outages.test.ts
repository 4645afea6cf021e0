import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { log } from '../../log.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

log.level = 'error'; // each of the failing calls logs a warning

let story: Story;
beforeEach(async () => {
  story = await startStory('2040-01-31T10:00:00Z');
});
afterEach(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

test('Polar down for an hour, failing and then limiting us: credits expire on time, nothing is lost or doubled, and it gets no flood of requests', async () => {
  const [ada, bob, cyd] = [await story.signUp('ada'), await story.signUp('bob'), await story.signUp('cyd')];
  await story.signUp('dan');
  await story.advanceTo('2040-03-01T09:00:00Z');
  await story.buy(ada, 'pack_1000');
  await story.buy(bob, 'pro_monthly');
  await story.buy(cyd, 'starter_monthly');
  const [adasPack] = await story.ordersOf(ada);
  const [ofBob, ofCyd] = [await story.subscriptionOf(bob), await story.subscriptionOf(cyd)];
  const pro = await story.productOf('pro_monthly');
  const bobsPack = await story.checkOut(bob, 'pack_1000');
  await story.advanceTo('2040-03-01T09:30:00Z');

  // Payers, banks and webhooks continue. Everything except the pack and the upgrade needs Polar's current state.
  await polarAnswers({ status: 500 });
  await story.call('PUT', `/v1/teams/${ada}/members/dan`, { role: 'billing' });
  await story.control(`/orders/${adasPack?.id}/refund`, { amount: 600 });
  await story.control(`/subscriptions/${ofBob}/revoke`);
  await story.control(`/checkouts/${bobsPack}/pay`);
  await story.control(`/subscriptions/${ofCyd}/change-plan`, {
    product_id: pro,
    proration_behavior: 'invoice',
  });
  await story.emulator.idle();
  await pass(2);
  let calls = await polarIsBack();
  await polarAnswers({ status: 429, retry_after: 60 });
  await pass(29);
  const expired = await story.database.pool.query(
    `select from grants where source = 'trial' and available = 0 and expired = granted`,
  );
  expect(expired.rowCount).toBe(4); // at 10:00, during the outage
  await pass(29);
  calls += await polarIsBack();
  console.log(`${calls} calls to a Polar that was down for an hour, by 3 teams with 6 events to settle`);
  expect(calls).toBeLessThan(3 * 120); // 2 a minute and team
  // 4,000 more for all but half an hour of the month.
  expect(await story.balance(cyd)).toMatchObject({ available: '5997.311827' });

  await pass(20); // pauses have grown to a quarter of an hour
  await until(async () => {
    const { rows } = await story.database.pool.query(
      `select from inbox where status in ('received', 'parked')`,
    );
    return rows.length === 0;
  });
  expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '500' }, debt: '0' });
  expect(await membersAtPolar(ada)).toEqual({ ada: 'owner', dan: 'billing_manager' });
  expect(await story.balance(bob)).toMatchObject({ bySource: { subscription: '0', purchase: '1000' } });
  expect(await story.balance(cyd)).toMatchObject({
    available: '5997.311827', // the difference for the rest of the cycle at 9:30
    nextExpiry: { at: '2040-04-01T10:00:00.000Z', credits: '5997.311827' },
  });
}, 120_000);

test('Polar limits us: a short wait is waited for, a long one is passed on to the caller', async () => {
  const ada = await story.signUp('ada');
  const key = crypto.randomUUID();
  const buy = () => story.request('POST', `/v1/teams/${ada}/checkout`, { product: 'pack_1000' }, key);
  await polarAnswers({ path: '/v1/checkouts', status: 429, retry_after: 30, times: 1 });
  expect(await buy()).toMatchObject({
    status: 503,
    body: { code: 'polar_unavailable', retriable: true, retryAfterSeconds: 30 },
  });
  await polarAnswers({ path: '/v1/checkouts', status: 429, retry_after: 1, times: 1 });
  const answer = await buy();
  expect(answer.status).toBe(201);
  expect(await buy()).toEqual(answer);
  expect(await checkoutsOf(ada)).toHaveLength(1);

  await story.control(`/checkouts/${answer.body.id}/pay`);
  await story.settle();
  const [order] = await story.ordersOf(ada);
  await polarAnswers({ path: '/v1/orders', status: 429, retry_after: 1, times: 2 });
  await story.control(`/orders/${order?.id}/refund`, { amount: 600 });
  await story.settle();
  expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '500' } });
});

test('while Polar is down, requests that need it are 503, and all others work', async () => {
  const ada = await story.signUp('ada');
  await story.buy(ada, 'starter_monthly');
  await polarAnswers({ status: 500 });
  const team = `/v1/teams/${ada}`;
  const key = crypto.randomUUID();
  const answers = await Promise.all([
    story.request('POST', `${team}/checkout`, { product: 'pack_1000' }, key),
    story.request('POST', `${team}/portal`),
    story.request('POST', `${team}/subscription/change`, { plan: 'pro_monthly' }),
    story.request('POST', `${team}/subscription/cancel`),
    story.request('GET', `${team}/invoices`),
  ]);
  for (const { status, body } of answers)
    expect({ status, code: body.code, retriable: body.retriable }).toEqual({
      status: 503,
      code: 'polar_unavailable',
      retriable: true,
    });

  await story.spend(ada, 1);
  expect(await story.balance(ada)).toMatchObject({ available: '2499' });
  expect(await story.call('GET', `${team}/subscription`)).toMatchObject({
    plan: 'starter_monthly',
    cancelAtPeriodEnd: false,
  });
  expect(await story.balance(await story.signUp('bob'))).toMatchObject({ available: '500' });

  await polarIsBack();
  expect(await story.request('POST', `${team}/checkout`, { product: 'pack_1000' }, key)).toMatchObject({
    status: 201,
  });
});

test.each([
  ['is cut off', 'drop'],
  ['never comes', 'hang'],
])(
  'Polar does what we ask and its answer %s: asked again, nothing is there twice',
  async (_, after_effect) => {
    const [ada, bob, cyd] = [await story.signUp('ada'), await story.signUp('bob'), await story.signUp('cyd')];
    const [guild, doomed] = [await story.foundTeam('ada', 'Guild'), await story.foundTeam('bob', 'Doomed')];
    for (const team of [bob, cyd, doomed]) await story.buy(team, 'starter_monthly');
    await story.buy(guild, 'pack_1000');
    const { id: guildsCustomer } = await story.polar.customers.getExternal(guild);
    const [ofBob, ofCyd, ofDoomed] = await Promise.all([bob, cyd, doomed].map(story.subscriptionOf));
    await story.clock.set(new Date('2040-01-31T10:01:00Z'));

    const post = (team: string, route: string, body?: object, key?: string) =>
      story.request('POST', `/v1/teams/${team}${route}`, body, key);
    const loseAnswer = (method: string, path: string) =>
      polarAnswers({ method, path, after_effect, times: 1 });

    // The change is found at Polar, so it is not made again.
    await loseAnswer('POST', `/v1/customers/${guildsCustomer}/members`);
    await loseAnswer('POST', '/v1/customers');
    await loseAnswer('PATCH', `/v1/subscriptions/${ofBob}`);
    await loseAnswer('PATCH', `/v1/subscriptions/${ofCyd}`);
    await loseAnswer('DELETE', `/v1/subscriptions/${ofDoomed}`);
    await story.call('PUT', `/v1/teams/${guild}/members/bob`, { role: 'billing' });
    await story.call('DELETE', `/v1/teams/${doomed}`);
    const [made, changed, cancelled] = await Promise.all([
      post(ada, '/checkout', { product: 'pack_1000' }),
      post(bob, '/subscription/change', { plan: 'pro_monthly' }),
      post(cyd, '/subscription/cancel'),
    ]);
    expect(made.status).toBe(201);
    expect(changed).toMatchObject({ status: 200, body: { plan: 'pro_monthly' } });
    expect(cancelled).toMatchObject({ status: 200, body: { cancelAtPeriodEnd: true } });

    // A page whose answer was lost has no effect, so the caller retries.
    await loseAnswer('POST', '/v1/checkouts');
    await loseAnswer('POST', '/v1/customer-sessions');
    const keys = { checkout: crypto.randomUUID(), portal: crypto.randomUUID() };
    const askForPages = () =>
      Promise.all([
        post(ada, '/checkout', { product: 'pack_1000' }, keys.checkout),
        post(ada, '/portal', undefined, keys.portal),
      ]);
    for (const answer of await askForPages())
      expect(answer).toMatchObject({ status: 503, body: { code: 'polar_unavailable', retriable: true } });
    const [page, portal] = await askForPages();
    expect([page.status, portal.status]).toEqual([201, 201]);
    await story.control(`/checkouts/${page.body.id}/pay`);

    await story.settle();
    const faultsLeft = await fetch(`${story.emulator.url}/emulator/faults`);
    expect(await faultsLeft.json()).toEqual([]);
    expect((await story.polar.customers.list({ query: ada })).items).toHaveLength(1);
    expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '1000' } });
    expect(await story.ordersOf(bob)).toHaveLength(2); // the month, and one invoice for the difference
    expect(await story.call('GET', `/v1/teams/${cyd}/subscription`)).toMatchObject({
      cancelAtPeriodEnd: true,
    });
    expect(await membersAtPolar(guild)).toEqual({ ada: 'owner', bob: 'billing_manager' });
    expect((await story.polar.subscriptions.get(String(ofDoomed))).status).toBe('canceled');
    expect((await story.inbox(bob)).filter(({ status }) => status !== 'handled')).toEqual([]);
  },
);

test('events that need Polar during an outage delay the others for at most ten minutes', async () => {
  const ada = await story.signUp('ada');
  await story.buy(ada, 'pro_monthly');
  const pack = await story.checkOut(ada, 'pack_1000');
  const subscription = await story.subscriptionOf(ada);
  await story.clock.set(new Date('2040-01-31T10:01:00Z'));
  await polarAnswers({ status: 429, retry_after: 60 });
  await story.control(`/subscriptions/${subscription}/revoke`); // three events, and each needs Polar
  await story.control(`/checkouts/${pack}/pay`);
  await story.emulator.idle();
  await story.skipTo('2040-01-31T10:12:00Z');
  await until(async () => (await story.balance(ada)).bySource.purchase === '1000');
  await polarIsBack();
});

test('a stuck event that needs Polar gets one attempt when it is retried, and delays no other event', async () => {
  const ada = await story.signUp('ada');
  await story.buy(ada, 'pack_1000');
  const [order] = await story.ordersOf(ada);
  const pack = await story.checkOut(ada, 'pack_5000');
  await story.clock.set(new Date('2040-01-31T10:01:00Z'));
  await polarAnswers({ status: 429, retry_after: 60 });
  await refundUntold(order?.id);
  await story.skipTo('2040-01-31T10:12:00Z');
  const { id } = await until(async () =>
    (await story.inbox(ada)).find(({ parkedCode }) => parkedCode === 'stuck'),
  );
  await story.call('POST', `/v1/inbox/${id}/retry`);
  await story.control(`/checkouts/${pack}/pay`);
  await story.emulator.idle();
  await until(async () => (await story.balance(ada)).bySource.purchase === '6000');
  await polarIsBack();
});

test('a team’s workflow does not call Polar before the end of its Retry-After', async () => {
  const ada = await story.signUp('ada');
  await story.buy(ada, 'pack_1000');
  const [order] = await story.ordersOf(ada);
  await story.clock.set(new Date('2040-01-31T10:01:00Z'));
  await polarAnswers({ status: 429, retry_after: 300 });
  await refundUntold(order?.id);
  await until(async () => (await failedCalls()) > 0);
  await story.skipTo('2040-01-31T10:04:00Z');
  expect(await polarIsBack()).toBe(1);
  await story.skipTo('2040-01-31T10:07:00Z');
  await until(async () => (await story.balance(ada)).bySource.purchase === '500');
});

const many = 1_000_000;

/** From now on Polar answers with this, this many times. */
async function polarAnswers(fault: object): Promise<void> {
  await story.control('/faults', { target: 'api', times: many, ...fault });
}

/** Ends the faults. Returns how many calls failed. */
async function polarIsBack(): Promise<number> {
  const failed = await failedCalls();
  await story.control('/faults/clear');
  return failed;
}

/** How many calls were answered by unlimited faults. */
async function failedCalls(): Promise<number> {
  const response = await fetch(`${story.emulator.url}/emulator/faults`);
  const faults = (await response.json()) as { times: number }[];
  return faults.reduce((sum, { times }) => sum + many - times, 0);
}

/** Advances all time: clocks, timers, and the pauses of the relay, which use Postgres' own time. */
async function pass(minutes: number): Promise<void> {
  const { pool } = story.database;
  const open = `status in ('received', 'parked')`;
  for (let left = minutes; left > 0; left -= 5) {
    const step = Math.min(left, 5);
    await pool.query(
      `update inbox set next_signal_at = next_signal_at - make_interval(mins => $1) where ${open}`,
      [step],
    );
    await until(async () => {
      const due = await pool.query(`select from inbox where ${open} and next_signal_at <= clock_timestamp()`);
      return due.rowCount === 0;
    });
    await story.skipTo(new Date(story.clock.now().getTime() + step * 60_000).toISOString());
  }
}

/** Refunds half of a pack's order at Polar. Only `refund.created` is sent, and applying it needs Polar. */
async function refundUntold(order: string | undefined): Promise<void> {
  for (const type of ['order.updated', 'order.refunded'])
    await story.control('/faults', { target: 'webhooks', mode: 'lost', type });
  await story.control(`/orders/${order}/refund`, { amount: 600 });
  await story.emulator.idle();
}

async function checkoutsOf(team: string): Promise<unknown[]> {
  return (await story.polar.checkouts.list({ external_customer_id: team })).items;
}

async function membersAtPolar(team: string): Promise<Record<string, string>> {
  const { items } = await story.polar.customers.members.listExternal(team);
  return Object.fromEntries(items.map(({ external_id, email, role }) => [external_id ?? email, role]));
}
