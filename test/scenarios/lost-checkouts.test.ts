import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory } from './story.ts';

let story: Story;
beforeAll(async () => {
  story = await startStory('2040-05-05T10:00:00.000Z');
});
afterAll(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

const follow = async (team: string, id: string) =>
  (await story.request('GET', `/v1/teams/${team}/checkouts/${id}`)).body;

test('a pack whose webhooks were lost is granted once when its buyer comes back, even if the webhook arrives later', async () => {
  const team = await story.signUp('ada');
  const id = await story.checkOut(team, 'pack_1000');
  expect(await follow(team, id)).toEqual({ status: 'open' });
  await story.withoutWebhooks(async () => {
    await story.control(`/checkouts/${id}/pay`);
    await story.settle();
  });
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '0' } });

  const answers = await Promise.all(Array.from({ length: 10 }, () => follow(team, id)));
  expect(answers).toEqual(Array(10).fill({ status: expect.stringMatching(/^(paid|granted)$/) }));
  await story.settle();
  expect(await follow(team, id)).toEqual({ status: 'granted' });
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });

  const [order] = await story.ordersOf(team);
  await story.deliver({ type: 'order.paid', timestamp: story.clock.now().toISOString(), data: order });
  await story.settle();
  const report = await story.reconcile();
  expect(report.findings.filter(({ teamId }) => teamId === team)).toEqual([]);
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
  const stored = (await story.inbox(team)).filter(({ type }) => type === 'order.paid');
  expect(stored).toHaveLength(2);
});

test('a plan whose webhooks were lost is granted and stored when its buyer comes back', async () => {
  const team = await story.signUp('bob');
  const id = await story.checkOut(team, 'starter_monthly');
  await story.withoutWebhooks(() => story.control(`/checkouts/${id}/pay`));
  await follow(team, id);
  await story.settle();
  expect(await follow(team, id)).toEqual({ status: 'granted' });
  expect(await story.balance(team)).toMatchObject({ bySource: { subscription: '2000' } });
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({
    plan: 'starter_monthly',
    status: 'active',
  });
});

test('a checkout is shown to its own team only, and a declined or unpaid one grants nothing', async () => {
  const team = await story.signUp('cid');
  const neighbour = await story.signUp('dora');
  const id = await story.checkOut(team, 'pack_1000');
  const unknown = { status: 404, body: { code: 'unknown_checkout' } };
  expect(await story.request('GET', `/v1/teams/${neighbour}/checkouts/${id}`)).toMatchObject(unknown);
  const nobodys = crypto.randomUUID();
  expect(await story.request('GET', `/v1/teams/${team}/checkouts/${nobodys}`)).toMatchObject(unknown);
  expect((await story.request('GET', `/v1/teams/${team}/checkouts/x`)).status).toBe(400);

  await story.control(`/checkouts/${id}/decline`);
  await story.settle();
  expect(['open', 'failed']).toContain((await follow(team, id)).status);
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '0' } });
});
