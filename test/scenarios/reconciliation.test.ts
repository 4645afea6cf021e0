import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Report } from '../../activities/reconciliation/record-reconciliation.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { approveUpdate, retryUpdate, taskQueue, teamWorkflowId } from '../../workflows/messages.ts';
import {
  reconcileEverythingScheduleId,
  reconcileScheduleId,
  reconcileType,
} from '../../workflows/schedules.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

let story: Story;
beforeEach(async () => {
  story = await startStory('2040-01-31T10:00:00Z');
});
afterEach(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

const minutesLater = (minutes: number) =>
  story.clock.set(new Date(story.clock.now().getTime() + minutes * 60_000));

const pay = async (team: string, product: string) =>
  story.control(`/checkouts/${await story.checkOut(team, product)}/pay`);
/** Pays for packs of a team that is not ours, or does not exist yet. */
const payAsStranger = async (product: string, packs: number, team = crypto.randomUUID()) => {
  const { id } = await story.polar.customers.create({
    type: 'team',
    external_id: team,
    owner: { email: 'late@example.com', external_id: 'late' },
  });
  const products = [await story.productOf(product)];
  for (let paid = 0; paid < packs; paid += 1) {
    const checkout = await story.polar.checkouts.create({ products, customer_id: id });
    await story.control(`/checkouts/${checkout.id}/pay`);
  }
};
const refund = async (team: string, amount?: number) => {
  const order = (await story.ordersOf(team)).at(-1);
  await story.control(`/orders/${order?.id}/refund`, amount === undefined ? {} : { amount });
};
const dispute = async (team: string, amount?: number, status = 'needs_response') => {
  const order = (await story.ordersOf(team)).at(-1);
  const body = { status, ...(amount === undefined ? {} : { amount }) };
  return (await story.control<{ id: string }>(`/orders/${order?.id}/dispute`, body)).id;
};

/** All grants and transfers so far, by business key. */
async function ledger(): Promise<unknown[]> {
  const { rows } = await story.database.pool.query(
    `select team_id, business_key, granted, available, consumed, expired, revoked, settled, expires_at
       from grants order by business_key`,
  );
  return rows;
}

/** Reconciles once more and expects no difference. */
async function expectNothingLeft(): Promise<void> {
  const before = await ledger();
  const { counts } = await story.reconcile();
  expect(counts.repaired ?? 0).toBe(0);
  expect(counts.not_repaired ?? 0).toBe(0);
  expect(await ledger()).toEqual(before);
}

test('a pack and a first subscription whose webhooks were all lost are granted, once', async () => {
  const team = await story.signUp('ada');
  await story.withoutWebhooks(async () => {
    await pay(team, 'pack_1000');
    await pay(team, 'pro_monthly');
  });
  expect(await story.balance(team)).toMatchObject({ available: '500' });
  const report = await story.reconcile();
  expect(report).toMatchObject({ status: 'completed', counts: { repaired: 3, orders: 2, subscriptions: 1 } });
  expect(await story.balance(team)).toMatchObject({
    available: '7500',
    bySource: { trial: '500', subscription: '6000', purchase: '1000' },
  });
  expect(await story.call('GET', `/v1/teams/${team}/subscription`)).toMatchObject({
    plan: 'pro_monthly',
    status: 'active',
  });
  await expectNothingLeft();
});

test('changes whose webhooks arrived in time, or may still arrive, are left to them', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  expect((await story.reconcile()).counts).not.toHaveProperty('repaired');

  await story.control('/faults', { target: 'webhooks', mode: 'hold', type: 'order.paid', times: 1 });
  await minutesLater(5);
  await pay(team, 'pack_1000');
  const young: Report = await story.temporal.workflow.execute(reconcileType, {
    taskQueue,
    workflowId: crypto.randomUUID(),
    args: [{}],
  });
  expect(young.counts).not.toHaveProperty('repaired');
  expect((await story.reconcile()).counts).toMatchObject({ repaired: 1 });
  await story.control('/webhooks/release');
  await story.settle();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '2000' } });
  await expectNothingLeft();
});

test('three renewals without webhooks are granted, each once, and the subscription is updated', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pro_monthly');
  await story.withoutWebhooks(() => story.advanceTo('2040-05-01T00:00:00Z'));
  expect(await story.balance(team)).toMatchObject({ available: '0' });

  await story.reconcile({ everything: true });
  const { available, grants } = await story.balance(team);
  // Credits of past cycles live seven more days, because nobody could spend them in time.
  expect(available).toBe('18000');
  expect(grants.filter(({ source }) => source === 'subscription').map(({ granted }) => granted)).toEqual(
    Array(4).fill('6000'),
  );
  const subscription = await story.call<{ cycle: object }>('GET', `/v1/teams/${team}/subscription`);
  expect(subscription.cycle).toEqual({ start: '2040-04-30T10:00:00.000Z', end: '2040-05-31T10:00:00.000Z' });
  await expectNothingLeft();
  await story.advanceTo('2040-05-09T00:00:00Z');
  expect(await story.balance(team)).toMatchObject({ available: '6000' });
});

test('a refund without a webhook, of an order some months ago, takes the credits back', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  await story.advanceTo('2040-04-01T00:00:00Z');
  await story.withoutWebhooks(() => refund(team, 600));
  expect(await story.balance(team)).toMatchObject({ available: '1000' });
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ available: '500', debt: '0' });
  await expectNothingLeft();
});

test('an end of a subscription without a webhook expires its credits', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pro_monthly');
  await minutesLater(1);
  await story.withoutWebhooks(async () =>
    story.control(`/subscriptions/${await story.subscriptionOf(team)}/revoke`),
  );
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ available: '500', bySource: { subscription: '0' } });
  await expectNothingLeft();
});

test('a dispute takes the credits back, and a won one gives them back', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  await story.spend(team, 700); // 500 of the trial
  const id = await dispute(team);
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ available: '0', debt: '200' });
  await expectNothingLeft();

  await minutesLater(1);
  await story.control(`/disputes/${id}/win`);
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ available: '800', debt: '0' });
  await expectNothingLeft();
});

test('a lost dispute stays taken; a refund, a dispute of the rest, then won, leaves the refund', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  await minutesLater(1);
  await refund(team, 300);
  await story.settle();
  const id = await dispute(team);
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ available: '500', bySource: { purchase: '0' } });
  await minutesLater(1);
  await story.control(`/disputes/${id}/win`);
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '750' } });

  await minutesLater(1);
  const second = await dispute(team, 300);
  await story.reconcile();
  await minutesLater(1);
  await story.control(`/disputes/${second}/lose`);
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '500' } });
  await expectNothingLeft();
});

test('money that Polar returned itself before a dispute counts once', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  await minutesLater(1);
  await dispute(team, 600, 'prevented');
  await story.settle();
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '500' } });
  await expectNothingLeft();
});

test('our webhook endpoint is enabled again, and events that were never sent are repaired', async () => {
  const team = await story.signUp('ada');
  const endpoint = async () => (await story.polar.webhooks.listWebhookEndpoints()).items[0];
  await story.polar.webhooks.updateWebhookEndpoint((await endpoint())?.id ?? '', { enabled: false });
  await pay(team, 'pack_1000');
  const { counts, findings } = await story.reconcile();
  expect(counts).toMatchObject({ repaired: 2 });
  expect(findings.map(({ what }) => what)).toContainEqual(expect.stringContaining('it is enabled again'));
  expect((await endpoint())?.enabled).toBe(true);
  await story.buy(team, 'pack_1000');
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '2000' } });
});

test('a large repair waits until an operator approves it', async () => {
  const [ada, bob] = [await story.signUp('ada'), await story.signUp('bob')];
  await story.withoutWebhooks(async () => {
    for (let packs = 0; packs < 3; packs += 1) await pay(ada, 'pack_20000');
    await pay(bob, 'pack_20000');
  });
  const run = await story.startReconciliation();
  await until(async () => (await reports())[0]?.status === 'waiting');
  await until(async () => (await story.balance(bob)).bySource.purchase === '20000');
  await until(async () => (await story.balance(ada)).bySource.purchase === '40000');
  const { data } = await story.call<{ data: { id: string }[] }>(
    'GET',
    `/v1/inbox?status=parked&teamId=${ada}`,
  );
  expect(data).toEqual([expect.objectContaining({ parkedCode: 'needs_approval', type: 'order.paid' })]);
  const inboxId = data[0]?.id ?? '';

  // Neither a retry, another signal, nor a run that finds it again applies it.
  expect(await story.request('POST', `/v1/inbox/${inboxId}/retry`)).toMatchObject({
    status: 409,
    body: { code: 'needs_approval' },
  });
  const retry = story.temporal.workflow.getHandle(teamWorkflowId(ada)).executeUpdate(retryUpdate, {
    args: [{ inboxId, by: 'impatient' }],
  });
  await expect(retry).rejects.toThrow();
  for (const wrong of [
    { inboxId: crypto.randomUUID(), by: 'eve' },
    { inboxId, by: '' },
    { inboxId: 'x', by: 'eve' },
  ])
    await expect(run.executeUpdate(approveUpdate, { args: [wrong] })).rejects.toThrow();
  expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '40000' } });

  await run.executeUpdate(approveUpdate, { args: [{ inboxId, by: 'olga' }] });
  const approvals = async () =>
    (
      await story.call<{ data: { action: string; actor: string; subject: string }[] }>(
        'GET',
        `/v1/audit?teamId=${ada}`,
      )
    ).data.filter(({ action }) => action === 'event.approved');
  await until(async () => (await approvals()).length === 1);
  expect(await approvals()).toMatchObject([{ actor: 'operator:olga', subject: inboxId }]);
  const report: Report = await run.result();
  await story.settle();
  expect(report).toMatchObject({
    status: 'completed',
    counts: { repaired: 3, approved: 1, needs_approval: 0 },
  });
  expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '60000' } });
  expect(await story.inbox(ada)).toContainEqual(
    expect.objectContaining({
      id: inboxId,
      status: 'handled',
      outcome: expect.stringContaining('approved by olga'),
    }),
  );
  await expectNothingLeft();
});

test('without an approval the run ends, and the approval can be given later, once', async () => {
  const ada = await story.signUp('ada');
  await story.withoutWebhooks(async () => {
    for (let packs = 0; packs < 3; packs += 1) await pay(ada, 'pack_20000');
  });
  expect((await story.reconcileSkippingTime()).counts).toMatchObject({ repaired: 2, needs_approval: 1 });
  expect((await story.reconcileSkippingTime()).counts).toMatchObject({ needs_approval: 1 });
  const [parked] = (await story.inbox(ada)).filter(({ parkedCode }) => parkedCode === 'needs_approval');
  for (let times = 0; times < 2; times += 1)
    expect(await story.request('POST', `/v1/inbox/${parked?.id}/approve`)).toMatchObject({ status: 202 });
  await story.settle();
  expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '60000' } });
  await expectNothingLeft();
});

test('Temporal’s data lost: every team goes on, nothing is granted or expired twice', async () => {
  const [ada, bob, cyd] = [await story.signUp('ada'), await story.signUp('bob'), await story.signUp('cyd')];
  await story.buy(ada, 'pro_monthly');
  await story.buy(bob, 'pro_yearly');
  await story.buy(bob, 'pack_1000');
  await story.advanceTo('2040-02-20T00:00:00Z');
  const before = await ledger();

  await story.loseTemporal();
  const { counts } = await story.reconcile();
  expect(counts).toMatchObject({ teams: 3, teams_started: 3 });
  expect(await ledger()).toEqual(before);
  expect((await story.reconcile()).counts).toMatchObject({ teams: 3, teams_started: 0 });

  // There are no events: only the workflows' timers act.
  await story.advanceTo('2040-03-15T00:00:00Z');
  expect(await story.balance(cyd)).toMatchObject({ available: '0' });
  expect(await story.balance(ada)).toMatchObject({ bySource: { trial: '0', subscription: '6000' } });
  expect(await story.balance(bob)).toMatchObject({ bySource: { purchase: '1000', trial: '0' } });
  const rows = await ledger();
  expect(new Set(rows.map((row) => JSON.stringify(row))).size).toBe(rows.length);
  const { rows: drips } = await story.database.pool.query(
    `select count(*)::int as drips from grants where team_id = $1 and source = 'subscription'`,
    [bob],
  );
  expect(drips).toEqual([{ drips: 2 }]);
});

test('Polar fails, limits us and cuts off answers: the run continues and nothing is lost or doubled', async () => {
  const team = await story.signUp('ada');
  await story.withoutWebhooks(async () => {
    await pay(team, 'pack_1000');
    await pay(team, 'starter_monthly');
    await minutesLater(1);
    await refund(team, 950);
  });
  const [endpoint] = (await story.polar.webhooks.listWebhookEndpoints()).items;
  await story.polar.webhooks.updateWebhookEndpoint(endpoint?.id ?? '', { enabled: false });
  const fault = (more: object) => story.control('/faults', { target: 'api', ...more });
  await fault({ path: '/v1/orders', status: 500, times: 5 });
  await fault({ path: '/v1/subscriptions', status: 429, retry_after: 1, times: 4 });
  await fault({ path: '/v1/refunds', after_effect: 'drop', times: 2 });
  await fault({ path: '/v1/disputes', status: 429, retry_after: 3, times: 1 });
  await fault({ path: '/v1/webhooks/endpoints', method: 'PATCH', after_effect: 'drop', times: 1 });
  const { status } = await story.reconcile();
  expect(status).toBe('completed');
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000', subscription: '1000' } });
  expect((await story.polar.webhooks.getWebhookEndpoint(endpoint?.id ?? '')).enabled).toBe(true);
  await expectNothingLeft();
}, 120_000);

test('Polar down for longer than a run waits: the run fails visibly, and the next one repairs', async () => {
  const team = await story.signUp('ada');
  await story.withoutWebhooks(() => pay(team, 'pack_1000'));
  const away = { target: 'api', path: '/v1/orders', status: 429, retry_after: 120, times: 1_000 };
  await story.control('/faults', away);
  await expect(story.reconcileSkippingTime()).rejects.toThrow();
  expect(await reports()).toEqual([
    expect.objectContaining({
      status: 'failed',
      findings: [
        expect.objectContaining({ what: expect.stringContaining('Polar is limiting our requests') }),
      ],
    }),
  ]);
  await story.control('/faults/clear');
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('a list that Polar refuses does not stop other repairs, and the run reports it', async () => {
  const team = await story.signUp('ada');
  await story.withoutWebhooks(() => pay(team, 'pack_1000'));
  await story.temporal.workflow.getHandle(teamWorkflowId(team)).terminate();
  await story.control('/faults', { target: 'api', path: '/v1/orders', status: 403, times: 1_000 });
  await story.control('/faults', { target: 'api', path: '/v1/disputes', status: 403, times: 1_000 });
  await expect(story.reconcile()).rejects.toThrow();
  const [report] = await reports();
  // Orders, earlier unpaid ones, and disputes.
  expect(report).toMatchObject({ status: 'failed', counts: { teams_started: 1, not_repaired: 3 } });
  await story.control('/faults/clear');
  await story.reconcile();
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('more orders than a page holds are compared, each granted once', async () => {
  const teams: string[] = [];
  for (const person of ['ada', 'bob', 'cyd']) teams.push(await story.signUp(person));
  await story.withoutWebhooks(async () => {
    for (const team of teams) for (let packs = 0; packs < 35; packs += 1) await pay(team, 'pack_1000');
  });
  expect((await story.reconcile()).counts).toMatchObject({ orders: 105, repaired: 105 });
  for (const team of teams)
    expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '35000' } });
  await expectNothingLeft();
}, 120_000);

test('a run that is too long for one history continues in the next one, with its approvals', async () => {
  await story.stop();
  story = await startStory('2040-01-31T10:00:00Z', { shortHistories: 12 });
  const { schedule, workflow } = story.temporal;
  for (const id of [reconcileScheduleId, reconcileEverythingScheduleId])
    await until(() =>
      schedule
        .getHandle(id)
        .pause()
        .then(
          () => true,
          () => false,
        ),
    );
  const [ada, bob] = [await story.signUp('ada'), await story.signUp('bob')];
  await story.withoutWebhooks(async () => {
    for (let packs = 0; packs < 3; packs += 1) await pay(ada, 'pack_20000');
    await payAsStranger('pack_1000', 100);
    await pay(bob, 'pack_1000'); // on the second page
    await pay(bob, 'starter_monthly');
  });

  const run = await story.startReconciliation();
  const parked = await until(async () =>
    (await story.inbox(ada)).find(({ parkedCode }) => parkedCode === 'needs_approval'),
  );
  // While it still reads the pages.
  await until(() =>
    run.executeUpdate(approveUpdate, { args: [{ inboxId: parked.id, by: 'olga' }] }).then(
      () => true,
      () => false,
    ),
  );
  const report: Report = await run.result();
  await story.settle();
  expect(report).toMatchObject({
    status: 'completed',
    counts: { orders: 105, subscriptions: 1, waiting: 100, approved: 1, needs_approval: 0, teams: 2 },
  });
  expect(await reports()).toHaveLength(1);
  expect(await story.balance(ada)).toMatchObject({ bySource: { purchase: '60000' } });
  expect(await story.balance(bob)).toMatchObject({ bySource: { purchase: '1000', subscription: '2000' } });
  const runs: string[] = [];
  for await (const { runId } of workflow.list({ query: `WorkflowId = '${run.workflowId}'` }))
    runs.push(runId);
  expect(runs.length).toBeGreaterThan(3);
});

test('an order for an unknown team is parked once, and granted when the team exists', async () => {
  const team = crypto.randomUUID();
  await story.withoutWebhooks(async () => {
    await payAsStranger('pack_1000', 1, team);
  });
  for (let times = 0; times < 2; times += 1)
    expect((await story.reconcile()).counts).toMatchObject({ waiting: 1 });
  const { data } = await story.call<{ data: object[] }>('GET', '/v1/inbox?status=parked');
  expect(data).toEqual([expect.objectContaining({ teamId: null, parkedCode: 'unknown_team' })]);

  await story.signUpAs(team, 'late');
  await until(async () => (await story.balance(team)).available === '1500');
  await expectNothingLeft();
});

test('money for a deleted team is parked once, and after its refund nothing is reported', async () => {
  await story.signUp('ada');
  const team = await story.foundTeam('ada', 'Shared');
  const checkout = await story.checkOut(team, 'pack_1000');
  await story.request('DELETE', `/v1/teams/${team}`);
  await story.settle();
  await story.withoutWebhooks(() => story.control(`/checkouts/${checkout}/pay`));
  await story.reconcile();
  const parked = async () => {
    const { data } = await story.call<{ data: { parkedCode: string }[] }>('GET', '/v1/inbox?status=parked');
    return data.map(({ parkedCode }) => parkedCode);
  };
  await until(async () => (await parked())[0] === 'team_deleted');
  await story.withoutWebhooks(() => refund(team));
  await story.reconcile();
  await until(async () => (await parked()).length === 0);
  const { counts } = await story.reconcile();
  expect(counts).not.toHaveProperty('not_repaired');
  expect(counts).not.toHaveProperty('waiting');
});

/** A checkout that names the team only in its metadata. Its payer is a separate customer at Polar. */
const checkoutOf = async (team: string, product: string) =>
  story.polar.checkouts.create({ products: [await story.productOf(product)], metadata: { team_id: team } });
const payAs = ({ id }: { id: string }, person: string) =>
  story.control(`/checkouts/${id}/pay`, { email: `${person}@example.com` });

test('an order that is paid by dunning after three weeks is found by the next half-hourly run', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pro_monthly');
  const subscription = await story.subscriptionOf(team);
  await story.control(`/subscriptions/${subscription}/fail-next-payment`, { times: 10 });
  await story.withoutWebhooks(async () => {
    await story.advanceTo('2040-03-01T00:00:00Z');
    await story.reconcile();
    await story.advanceTo('2040-03-20T00:00:00Z');
    await story.control(`/subscriptions/${subscription}/pay-past-due`);
  });
  expect(await story.balance(team)).toMatchObject({ bySource: { subscription: '0' } });
  const { findings } = await story.reconcile();
  expect(findings.map(({ what }) => what)).toContainEqual(
    expect.stringContaining('is paid and nothing was granted'),
  );
  expect(await story.balance(team)).toMatchObject({ bySource: { subscription: '6000' } });
  expect((await story.database.pool.query('select from unpaid_orders')).rowCount).toBe(0);
  await expectNothingLeft();
});

test('money and a subscription that Polar takes for a deleted team are findings, though only metadata names the team', async () => {
  await story.signUp('ada');
  const team = await story.foundTeam('ada', 'Shared');
  const checkout = await checkoutOf(team, 'pro_monthly');
  await story.request('DELETE', `/v1/teams/${team}`);
  await story.settle();
  await story.withoutWebhooks(() => payAs(checkout, 'late'));
  for (const state of ['repaired', expect.stringMatching(/^(not_repaired|repaired)$/)]) {
    const { findings } = await story.reconcile();
    expect(findings).toContainEqual(
      expect.objectContaining({
        state: 'needs_operator',
        teamId: team,
        what: expect.stringContaining('is paid and nothing was granted'),
      }),
    );
    const standing = findings.filter(({ what }) => /is still \w+ at Polar/.test(what));
    for (const finding of standing) expect(finding).toMatchObject({ state, teamId: team });
    if (state === 'repaired') expect(standing).toHaveLength(1);
  }
});

test('several standing subscriptions of one team are a finding', async () => {
  const team = await story.signUp('ada');
  for (const person of ['one', 'two']) {
    await payAs(await checkoutOf(team, 'starter_monthly'), person);
    await story.settle();
  }
  const { findings } = await story.reconcile();
  expect(findings).toEqual([
    expect.objectContaining({
      state: 'needs_operator',
      teamId: team,
      what: expect.stringContaining('several standing subscriptions'),
    }),
  ]);
});

test('orders from before ordersSince are recorded and never granted, by webhook or by reconciliation', async () => {
  const team = await story.signUp('ada');
  const publish = (policies: Partial<Story['catalog']['policies']>) =>
    publishCatalog(story.database, {
      ...story.catalog,
      policies: { ...story.catalog.policies, ...policies },
    });
  await publish({ ordersSince: new Date('2040-02-01T00:00:00Z') });
  // Processes read a newly published catalog within a second.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await story.withoutWebhooks(() => pay(team, 'pack_1000'));
  await pay(team, 'pack_5000');
  await payAs(await checkoutOf(crypto.randomUUID(), 'pack_1000'), 'other');
  await story.settle();
  expect((await story.inbox(team)).find(({ type }) => type === 'order.paid')).toMatchObject({
    status: 'handled',
    outcome: expect.stringContaining('before ordersSince'),
  });
  const { counts } = await story.reconcile({ everything: true });
  expect(counts).toMatchObject({ orders: 3 });
  expect(counts).not.toHaveProperty('repaired');
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '0' } });

  await story.skipTo('2040-02-01T00:00:01Z');
  await story.buy(team, 'pack_1000');
  expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
});

test('the grants of one run to all teams are added up: beyond the total they wait for an operator', async () => {
  await publishCatalog(story.database, {
    ...story.catalog,
    policies: { ...story.catalog.policies, reconciliationApprovalTotal: 2_500_000_000n },
  });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const teams: string[] = [];
  for (const person of ['ada', 'bob', 'cyd']) teams.push(await story.signUp(person));
  await story.withoutWebhooks(async () => {
    for (const team of teams) await pay(team, 'pack_1000');
  });
  const { counts, findings } = await story.reconcileSkippingTime();
  expect(counts).toMatchObject({ repaired: 2, needs_approval: 1 });
  const { inboxId } = findings.find(({ state }) => state === 'needs_approval') ?? {};
  await story.call('POST', `/v1/inbox/${inboxId}/approve`);
  await story.settle();
  for (const team of teams)
    expect(await story.balance(team)).toMatchObject({ bySource: { purchase: '1000' } });
  await expectNothingLeft();
});

test('a parked event is retried by an operator, through the API and by the team’s workflow', async () => {
  const team = await story.signUp('ada');
  const product = await story.productOf('pack_1000');
  const { rows } = await story.database.pool.query(
    'delete from polar_products where polar_product_id = $1 returning *',
    [product],
  );
  const event = () => ({
    type: 'order.paid',
    timestamp: '2040-01-31T10:00:00Z',
    data: {
      id: crypto.randomUUID(),
      created_at: '2040-01-31T10:00:00Z',
      status: 'paid',
      paid: true,
      billing_reason: 'purchase',
      net_amount: 1_200,
      currency: 'usd',
      product_id: product,
      metadata: { team_id: team },
      items: [],
    },
  });
  const ids = [await story.deliver(event()), await story.deliver(event())].map(({ body }) => String(body.id));
  await story.settle();
  const [one, other] = ids;
  await story.database.pool.query(
    `update inbox set next_signal_at = '2999-01-01' where status = 'parked' and team_id = $1`,
    [team],
  );
  await story.database.pool.query(
    'insert into polar_products (polar_product_id, catalog_key) values ($1, $2)',
    [product, rows[0].catalog_key],
  );
  expect(await story.request('POST', `/v1/inbox/${one}/retry`)).toMatchObject({
    status: 202,
    body: { id: one },
  });
  await until(async () => (await story.balance(team)).bySource.purchase === '1000');

  const workflow = story.temporal.workflow.getHandle(teamWorkflowId(team));
  for (const wrong of [
    { inboxId: 'x', by: 'olga' },
    { inboxId: other ?? '', by: '' },
  ])
    await expect(workflow.executeUpdate(retryUpdate, { args: [wrong] })).rejects.toThrow();
  await workflow.executeUpdate(retryUpdate, { args: [{ inboxId: other ?? '', by: 'olga' }] });
  await until(async () => (await story.balance(team)).bySource.purchase === '2000');
  const audit = await story.call<{ data: { action: string; actor: string; subject: string }[] }>(
    'GET',
    `/v1/audit?teamId=${team}`,
  );
  expect(audit.data.filter(({ action }) => action === 'event.retried')).toEqual([
    expect.objectContaining({ actor: 'operator:olga', subject: other }),
    expect.objectContaining({ actor: expect.stringMatching(/^service:/), subject: one }),
  ]);

  expect(await story.request('POST', `/v1/inbox/${one}/retry`)).toMatchObject({
    body: { code: 'not_parked' },
  });
  expect(await story.request('POST', `/v1/inbox/${crypto.randomUUID()}/retry`)).toMatchObject({
    status: 404,
    body: { code: 'unknown_event' },
  });
});

async function reports(): Promise<Report[]> {
  const { data } = await story.call<{ data: Report[] }>('GET', '/v1/reconciliations');
  return data;
}
