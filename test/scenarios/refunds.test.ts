import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { addMonthsAnchored } from '../../catalog/cycle.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory } from './story.ts';

let story: Story;
beforeAll(async () => {
  story = await startStory('2040-01-01T00:00:00Z');
});
afterEach(() => expectSoundLedger(story.database.pool));
afterAll(() => story.stop());

let people = 0;
/** A team that has spent its trial. */
async function newTeam(): Promise<string> {
  people += 1;
  const team = await story.signUp(`person_${people}`);
  await story.spend(team, 500);
  return team;
}

/** Polar distinguishes states by their time. */
const aSecondLater = () => story.clock.set(new Date(story.clock.now().getTime() + 1_000));

/** Refunds the team's last purchase, in cents; the full amount by default. */
async function refund(team: string, amount?: number): Promise<string> {
  await aSecondLater();
  const order = (await story.ordersOf(team)).at(-1);
  const { id } = await story.control<{ id: string }>(
    `/orders/${order?.id}/refund`,
    amount === undefined ? {} : { amount },
  );
  await story.settle();
  return id;
}

async function reverse(refundId: string): Promise<void> {
  await aSecondLater();
  await story.control(`/refunds/${refundId}/reverse`);
  await story.settle();
}

async function standing(team: string) {
  const { available, debt, grants } = await story.balance(team);
  const packs = grants.filter(({ source }) => source === 'purchase');
  return {
    available,
    debt,
    revoked: packs.map(({ revoked }) => revoked),
    settled: packs.map((one) => one.settled),
  };
}

interface ListedDebt {
  outstanding: string;
}

/** The team's debts, read in pages of one. */
async function debtsOf(team: string, cursor?: string): Promise<ListedDebt[]> {
  const { data, nextCursor } = await story.call<{ data: ListedDebt[]; nextCursor: string | null }>(
    'GET',
    `/v1/teams/${team}/debts?limit=1${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
  );
  return nextCursor === null ? data : [...data, ...(await debtsOf(team, nextCursor))];
}

test('a refund of a half-spent pack: the rest is revoked, the spent half is a debt that the next credits settle', async () => {
  const team = await newTeam();
  await story.buy(team, 'pack_1000');
  await story.spend(team, 400);
  await refund(team);
  expect(await standing(team)).toMatchObject({ available: '0', debt: '400', revoked: ['600'] });
  await expect(story.spend(team, 1)).rejects.toThrow('insufficient_credits');

  await story.buy(team, 'pack_1000');
  expect(await standing(team)).toMatchObject({ available: '600', debt: '0', settled: ['400', '0'] });
});

test('what a team owes is listed per order, oldest first, and its sum is the debt of the balance', async () => {
  const team = await newTeam();
  for (const product of ['starter_monthly', 'pack_1000', 'pack_5000']) await story.buy(team, product);
  await story.spend(team, 8_000);
  const orders = await story.ordersOf(team);
  for (const { id } of orders) {
    await aSecondLater();
    await story.control(`/orders/${id}/refund`);
    await story.settle();
  }
  const [plan, ...packs] = orders;
  const orderOf = (order: (typeof orders)[number] | undefined, product: string) => [
    { id: order?.id, product, paidAt: expect.any(String), reversed: true },
  ];
  const debtOfPlan = {
    cycle: { subscriptionId: plan?.subscription_id },
    orders: orderOf(plan, 'starter_monthly'),
    owed: '2000',
    settled: '0',
    outstanding: '2000',
  };
  const debtOfPack = (credits: number) => ({
    cycle: null,
    orders: orderOf(packs[credits === 1_000 ? 0 : 1], `pack_${credits}`),
    owed: String(credits),
    settled: '0',
    outstanding: String(credits),
  });
  const { debt } = await story.balance(team);
  expect({ debt, debts: await debtsOf(team) }).toMatchObject({
    debt: '8000',
    debts: [debtOfPlan, debtOfPack(1_000), debtOfPack(5_000)],
  });

  // A cycle's debt takes no lifetime credits: the pack pays for the packs.
  await story.buy(team, 'pack_1000');
  expect(await debtsOf(team)).toMatchObject([debtOfPlan, debtOfPack(5_000)]);
  await story.call('POST', `/v1/teams/${team}/adjustments`, { credits: '300', reason: 'an apology' });
  const left = await debtsOf(team);
  expect(left.reduce((sum, { outstanding }) => sum + Number(outstanding), 0)).toBe(6_700);
  expect((await story.balance(team)).debt).toBe('6700');
});

test('a debt is settled at once from what the team has, its expiring credits first', async () => {
  const team = await newTeam();
  await story.buy(team, 'pack_1000');
  await story.spend(team, 1_000);
  const [pack] = await story.ordersOf(team);
  await story.buy(team, 'pack_5000');
  await story.buy(team, 'starter_monthly');
  await story.control(`/orders/${pack?.id}/refund`);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({
    available: '6000',
    debt: '0',
    bySource: { subscription: '1000', purchase: '5000' },
  });
});

test('a refund in two parts takes the same as one refund of the whole', async () => {
  const team = await newTeam();
  await story.buy(team, 'pack_1000');
  await refund(team, 401);
  expect(await standing(team)).toMatchObject({ available: '665.833334', debt: '0', revoked: ['334.166666'] });
  await story.spend(team, 600);
  await refund(team, 799);
  expect(await standing(team)).toMatchObject({ available: '0', debt: '600', revoked: ['400'] });
});

test('a half-spent pack: refunded in two parts, the rest disputed, and the dispute won', async () => {
  const team = await newTeam();
  await story.buy(team, 'pack_1000');
  const [pack] = await story.ordersOf(team);
  await story.spend(team, 500);
  await refund(team, 300);
  expect(await standing(team)).toEqual({ available: '250', debt: '0', revoked: ['250'], settled: ['0'] });
  await refund(team, 300);
  expect(await standing(team)).toEqual({ available: '0', debt: '0', revoked: ['500'], settled: ['0'] });

  await aSecondLater();
  const dispute = await story.control<{ id: string; amount: number }>(`/orders/${pack?.id}/dispute`);
  expect(dispute.amount).toBe(600); // the part that was not refunded; there is no webhook for it
  await story.reconcile();
  expect(await standing(team)).toEqual({ available: '0', debt: '500', revoked: ['500'], settled: ['0'] });
  await story.buy(team, 'pack_1000');
  expect(await standing(team)).toMatchObject({ available: '500', debt: '0', settled: ['500', '0'] });

  await aSecondLater();
  await story.control(`/disputes/${dispute.id}/win`);
  await story.reconcile();
  expect(await standing(team)).toEqual({
    available: '1000',
    debt: '0',
    revoked: ['0', '500'],
    settled: ['0', '0'],
  });
});

test('a refund that comes before its order is known to us is applied with the grant', async () => {
  const team = await newTeam();
  await story.control('/faults', { target: 'webhooks', mode: 'hold', type: 'order.paid', times: 1 });
  await story.buy(team, 'pack_1000');
  await refund(team, 600);
  expect((await story.balance(team)).grants.filter(({ source }) => source === 'purchase')).toEqual([]);
  await story.control('/webhooks/release');
  await story.settle();
  expect(await standing(team)).toMatchObject({ available: '500', debt: '0', revoked: ['500'] });
});

test('a purchase and its refunds have the same result in any order', async () => {
  const team = await newTeam();
  await story.holdWebhooks();
  await story.buy(team, 'pack_1000');
  await refund(team, 300);
  await reverse(await refund(team, 300));
  await refund(team, 600);
  await story.releaseWebhooks();
  expect(await standing(team)).toMatchObject({ available: '250', debt: '0', revoked: ['750'] });
});

test('a refund of a subscription takes its own credits, and never lifetime ones', async () => {
  const team = await newTeam();
  await story.buy(team, 'pack_1000');
  await story.buy(team, 'pro_monthly');
  await story.spend(team, 4_000);
  await refund(team);
  expect(await story.balance(team)).toMatchObject({
    available: '1000',
    debt: '4000',
    bySource: { subscription: '0', purchase: '1000' },
  });
  await story.buy(team, 'pack_1000');
  expect(await story.balance(team)).toMatchObject({ available: '2000', debt: '4000' });
  await aSecondLater();
  // The subscription continues, and its next allotment settles the debt.
  await story.control(`/subscriptions/${await story.subscriptionOf(team)}/renew-now`);
  await story.settle();
  expect(await story.balance(team)).toMatchObject({
    available: '4000',
    debt: '0',
    bySource: { subscription: '2000', purchase: '2000' },
  });
});

test('a reversed refund gives back revoked and settled credits', async () => {
  const team = await newTeam();
  await story.buy(team, 'pack_1000');
  await story.spend(team, 400);
  const refunded = await refund(team);
  await story.buy(team, 'pack_5000');
  expect(await standing(team)).toMatchObject({ available: '4600', debt: '0' });
  await reverse(refunded);
  expect(await standing(team)).toMatchObject({
    available: '5600',
    debt: '0',
    revoked: ['0', '0'],
    settled: ['0', '0'],
  });
});

test('released credits of a refunded pack pay for the pack before other credits do', async () => {
  const team = await story.signUp('holder');
  await story.buy(team, 'pack_1000');
  const { id } = await story.call<{ id: string }>('POST', `/v1/teams/${team}/holds`, {
    action: 'workflow.run',
    credits: '1200', // 500 of the trial, 700 of the pack
  });
  await refund(team);
  await story.call('POST', `/v1/holds/${id}/release`);
  expect(await story.balance(team)).toMatchObject({
    available: '500',
    debt: '0',
    bySource: { trial: '500', purchase: '0' },
  });
});

/** The subscription as the API shows it, and the instants at which its drips are due. */
const subscriptionOf = async (team: string) => {
  const told = await story.call<{ cycle: Cycle }>('GET', `/v1/teams/${team}/subscription`);
  const start = new Date(told.cycle.start);
  const drip = (month: number) => addMonthsAnchored(start, month, start.getUTCDate());
  return { told, drip, end: told.cycle.end };
};
interface Cycle {
  start: string;
  end: string;
}
const shortlyAfter = (at: Date) => new Date(at.getTime() + 10 * 60_000).toISOString();

test('a yearly order that is refunded between its drips has no further drips', async () => {
  const team = await newTeam();
  await story.buy(team, 'pro_yearly');
  await story.spend(team, 1_000);
  const { drip, end } = await subscriptionOf(team);
  await story.advanceTo(shortlyAfter(drip(1)));
  expect(await story.balance(team)).toMatchObject({ available: '11000', debt: '0' });
  expect((await subscriptionOf(team)).told).toMatchObject({
    nextAllotment: { at: drip(2).toISOString(), credits: '6000' },
  });

  await refund(team);
  for (const month of [2, 4]) {
    expect(await story.balance(team)).toMatchObject({ available: '0', debt: '1000' });
    // The subscription continues at Polar. Its next credits are those of its next paid cycle.
    expect((await subscriptionOf(team)).told).toMatchObject({ nextAllotment: { at: end } });
    await story.advanceTo(shortlyAfter(drip(month)));
  }
  const { rows } = await story.database.pool.query<{ drips: string }>(
    `select count(*) as drips from grants where team_id = $1 and source = 'subscription'`,
    [team],
  );
  expect(rows).toEqual([{ drips: '2' }]);
});

test('a yearly order of which half is refunded drips half', async () => {
  const team = await newTeam();
  await story.buy(team, 'pro_yearly');
  await refund(team, 24_500);
  expect(await story.balance(team)).toMatchObject({ available: '3000', debt: '0' });
  await story.advanceTo(shortlyAfter((await subscriptionOf(team)).drip(1)));
  expect(await story.balance(team)).toMatchObject({ available: '6000', debt: '0' });
});
