import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { toProblem } from '../../api/problem.ts';
import { PolarProduct } from '../../database/entities/polar-product.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { Team } from '../../database/entities/team.ts';
import { cancelSubscription, changePlan, resumeSubscription } from '../../polar/change-subscription.ts';
import { createCheckout } from '../../polar/create-checkout.ts';
import { endSubscriptions } from '../../polar/end-subscriptions.ts';
import { ensureCustomer } from '../../polar/ensure-customer.ts';
import { fetchOrder, fetchSubscription } from '../../polar/events.ts';
import { listInvoices, openInvoice } from '../../polar/list-invoices.ts';
import { openPortal } from '../../polar/open-portal.ts';
import { resolveTeam } from '../../polar/resolve-team.ts';
import { syncMembers } from '../../polar/sync-members.ts';
import { syncProducts } from '../../polar/sync-products.ts';
import { ensureWebhookEndpoint, reviveWebhookEndpoint } from '../../polar/webhook-endpoint.ts';
import { makeTeam, mirror, type PolarScene, startScene } from './setup.ts';

/** The API records who requested a change. */
const beforeChange = async () => {};

let scene: PolarScene;
beforeAll(async () => {
  scene = await startScene();
});
afterAll(() => scene.end());

const urls = { successUrl: 'https://waveloom.example/done', returnUrl: 'https://waveloom.example/' };
const checkout = (teamId: string, product: string) =>
  createCheckout(scene.polar, scene.database, { teamId, product, ...urls });
const customersOf = async (teamId: string) =>
  (await scene.polar.customers.list({ query: teamId, limit: 100 })).items;
const membersOf = async (customerId: string) => {
  const { items } = await scene.polar.customers.members.list(customerId);
  return Object.fromEntries(items.map(({ external_id, email, role }) => [external_id ?? email, role]));
};

/** Buys a product like a payer, and stores the subscription as the team's workflow does. */
async function buy(teamId: string, product: string) {
  await checkout(teamId, product);
  const [open] = (await scene.polar.checkouts.list({ external_customer_id: teamId, status: 'open' })).items;
  await scene.act(`/checkouts/${open?.id}/pay`);
  const [order] = (await scene.polar.orders.list({ external_customer_id: teamId })).items;
  const facts = await fetchOrder(scene.polar, order?.id ?? '');
  if (facts.subscription) await mirror(scene, facts.subscription.id, teamId);
  return facts;
}

test('a product that is not at Polar yet is reported, with what to do', async () => {
  const teamId = await makeTeam(scene.database);
  await expect(checkout(teamId, 'pack_1000')).rejects.toMatchObject({
    code: 'product_not_synced',
    message: expect.stringContaining('npm run polar:sync -- --apply'),
  });
  await syncProducts(scene.polar, scene.database, { apply: true });
  expect((await checkout(teamId, 'pack_1000')).url).toMatch(/^http/);
});

test('a key without a product is refused', async () => {
  const teamId = await makeTeam(scene.database);
  await expect(checkout(teamId, 'pack_1')).rejects.toMatchObject({ code: 'unknown_product' });
});

test('ten concurrent calls create one customer, with the team as external id and no e-mail', async () => {
  const teamId = await makeTeam(scene.database, { alice: 'owner', bob: 'owner' });
  const ids = await Promise.all(
    Array.from({ length: 10 }, () => ensureCustomer(scene.polar, scene.database, teamId)),
  );
  expect(new Set(ids).size).toBe(1);
  const [customer, ...more] = await customersOf(teamId);
  expect(more).toEqual([]);
  expect(customer).toMatchObject({
    id: ids[0],
    type: 'team',
    external_id: teamId,
    email: null,
    name: 'Weavers',
  });
  expect(await membersOf(ids[0] ?? '')).toEqual({ alice: 'owner' });
});

test('one user may own two teams, each with its own customer', async () => {
  const one = await makeTeam(scene.database, { alice: 'owner' });
  const two = await makeTeam(scene.database, { alice: 'owner' });
  const [first, second] = [one, two].map((teamId) => ensureCustomer(scene.polar, scene.database, teamId));
  expect(await first).not.toBe(await second);
});

test('while Polar fails, no customer is stored; afterwards it is created', async () => {
  const teamId = await makeTeam(scene.database);
  await scene.act('/faults', { target: 'api', path: '/v1/customers', times: 3, status: 500 });
  await expect(ensureCustomer(scene.polar, scene.database, teamId)).rejects.toMatchObject({
    code: 'polar_unavailable',
  });
  expect(
    (await scene.database.fork().findOneOrFail(Team, { id: teamId })).polarCustomerId ?? null,
  ).toBeNull();
  await expect(ensureCustomer(scene.polar, scene.database, teamId)).resolves.toEqual(expect.any(String));
});

test('a customer deleted at Polar without a webhook is created again', async () => {
  const teamId = await makeTeam(scene.database, { alice: 'owner' });
  const before = await ensureCustomer(scene.polar, scene.database, teamId);
  await scene.polar.customers.delete(before);
  expect((await checkout(teamId, 'pack_1000')).url).toMatch(/^http/);
  const after = await ensureCustomer(scene.polar, scene.database, teamId);
  expect(after).not.toBe(before);
  await scene.polar.customers.delete(after);
  expect((await openPortal(scene.polar, scene.database, { teamId, userId: 'alice' })).url).toMatch(/^http/);
});

test('a team that is unknown, deleted or without an owner gets no customer', async () => {
  const ensure = (teamId: string) => ensureCustomer(scene.polar, scene.database, teamId);
  await expect(ensure('019a52c0-7e1b-7d6c-9b1f-0a6f1c2d3e4f')).rejects.toMatchObject({
    code: 'unknown_team',
  });
  await expect(ensure(await makeTeam(scene.database, {}))).rejects.toMatchObject({
    code: 'team_without_owner',
  });
  const deleted = await makeTeam(scene.database);
  await scene.database.fork().nativeUpdate(Team, { id: deleted }, { deletedAt: new Date() });
  await expect(ensure(deleted)).rejects.toMatchObject({ code: 'team_deleted' });
});

test('a paid pack resolves to its team and its catalog key', async () => {
  const teamId = await makeTeam(scene.database);
  const order = await buy(teamId, 'pack_5000');
  expect(order).toMatchObject({
    paid: true,
    productCatalogKey: 'pack_5000',
    units: 1,
  });
  expect(order.paidAmount).toBe(5500n);
  expect(await resolveTeam(scene.database.fork(), order.teamRef)).toEqual({ teamId });
});

test('a team with a standing subscription must change its plan instead of buying one, and can still buy packs', async () => {
  const teamId = await makeTeam(scene.database);
  const order = await buy(teamId, 'starter_monthly');
  expect(order.subscription).toMatchObject({ status: 'active', productCatalogKey: 'starter_monthly' });
  expect(order.lines.filter(({ proration }) => !proration)[0]?.start).toEqual(
    order.subscription?.currentPeriodStart,
  );
  await expect(checkout(teamId, 'pro_monthly')).rejects.toMatchObject({
    code: 'already_subscribed',
    details: { plan: 'starter_monthly' },
  });
  expect((await checkout(teamId, 'pack_1000')).url).toMatch(/^http/);
});

test('a plan is upgraded at once and downgraded with the next period, and a repetition changes nothing', async () => {
  const teamId = await makeTeam(scene.database);
  await buy(teamId, 'starter_monthly');
  const change = (plan: string) => changePlan(scene.polar, scene.database, { teamId, beforeChange, plan });
  const orders = async () => (await listInvoices(scene.polar, scene.database, { teamId })).data.length;

  expect((await change('starter_monthly')).productCatalogKey).toBe('starter_monthly');
  expect(await orders()).toBe(1);
  expect((await change('pro_monthly')).productCatalogKey).toBe('pro_monthly');
  expect((await change('pro_monthly')).productCatalogKey).toBe('pro_monthly');
  expect(await orders()).toBe(2); // one invoice for the difference

  const down = await change('starter_monthly');
  expect(down.productCatalogKey).toBe('pro_monthly');
  expect(down.pendingUpdate).not.toBeNull();
  expect((await change('starter_monthly')).pendingUpdate).toEqual(down.pendingUpdate);
  expect((await change('pro_monthly')).pendingUpdate).toBeNull(); // the downgrade is undone
  expect(await orders()).toBe(2);
});

test('a plan change whose payment fails leaves the plan unchanged', async () => {
  const teamId = await makeTeam(scene.database);
  const order = await buy(teamId, 'starter_monthly');
  await scene.act(`/customers/${order.teamRef.customerId}/card`, { declines: true });
  const change = changePlan(scene.polar, scene.database, { teamId, beforeChange, plan: 'pro_monthly' });
  await expect(change).rejects.toMatchObject({ code: 'payment_failed' });
  const now = await fetchSubscription(scene.polar, order.subscription?.id ?? '');
  expect(now.productCatalogKey).toBe('starter_monthly');
});

test('cancelling and resuming can be repeated', async () => {
  const teamId = await makeTeam(scene.database);
  const order = await buy(teamId, 'pro_yearly');
  const ask = { teamId, beforeChange };
  for (let time = 0; time < 2; time += 1) {
    expect((await cancelSubscription(scene.polar, scene.database, ask)).cancelAtPeriodEnd).toBe(true);
  }
  await expect(
    changePlan(scene.polar, scene.database, { teamId, beforeChange, plan: 'pro_monthly' }),
  ).rejects.toMatchObject({ code: 'subscription_ended' });
  for (let time = 0; time < 2; time += 1) {
    expect((await resumeSubscription(scene.polar, scene.database, ask)).cancelAtPeriodEnd).toBe(false);
  }
  await scene.act(`/subscriptions/${order.subscription?.id}/revoke`);
  expect((await cancelSubscription(scene.polar, scene.database, ask)).status).toBe('canceled');
  await expect(resumeSubscription(scene.polar, scene.database, ask)).rejects.toMatchObject({
    code: 'subscription_ended',
  });
});

test('a team without a subscription has none to change, cancel or resume', async () => {
  const ask = { teamId: await makeTeam(scene.database), beforeChange };
  for (const attempt of [
    () => changePlan(scene.polar, scene.database, { ...ask, plan: 'pro_monthly' }),
    () => cancelSubscription(scene.polar, scene.database, ask),
    () => resumeSubscription(scene.polar, scene.database, ask),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: 'no_subscription' });
});

test('owner, admin and billing open the portal as themselves; a plain member may not', async () => {
  const people = { alice: 'owner', bob: 'owner', carol: 'admin', dave: 'billing', eve: 'member' } as const;
  const teamId = await makeTeam(scene.database, people);
  const open = (userId?: string) =>
    openPortal(scene.polar, scene.database, { teamId, ...(userId === undefined ? {} : { userId }) });
  const links = [
    await open(),
    await open('alice'),
    await open('bob'),
    await open('carol'),
    await open('dave'),
  ];
  expect(new Set(links.map(({ url }) => url)).size).toBe(5);
  await Promise.all([open('carol'), open('dave'), open('dave')]);
  expect(await membersOf(await ensureCustomer(scene.polar, scene.database, teamId))).toEqual({
    alice: 'owner',
    bob: 'billing_manager', // Polar's customers have one owner
    carol: 'billing_manager',
    dave: 'billing_manager',
  });
  for (const who of ['eve', 'mallory']) {
    await expect(open(who)).rejects.toMatchObject({ code: 'forbidden' });
  }
});

test("an owner takes over at Polar if Polar's owner no longer owns the team", async () => {
  const teamId = await makeTeam(scene.database, { alice: 'owner', bob: 'admin' });
  const customerId = await ensureCustomer(scene.polar, scene.database, teamId);
  await scene.database
    .fork()
    .execute(`update members set role = 'owner' where team_id = ? and user_id = 'bob'`, [teamId]);
  await scene.database
    .fork()
    .execute(`delete from members where team_id = ? and user_id = 'alice'`, [teamId]);
  await openPortal(scene.polar, scene.database, { teamId, userId: 'bob' });
  expect(await membersOf(customerId)).toMatchObject({ bob: 'owner' });
});

test('a member whom someone added at Polar by e-mail is recognised', async () => {
  const teamId = await makeTeam(scene.database, { alice: 'owner', bob: 'billing' });
  const customerId = await ensureCustomer(scene.polar, scene.database, teamId);
  await scene.polar.customers.members.create(customerId, { email: 'Bob@example.com' });
  await openPortal(scene.polar, scene.database, { teamId, userId: 'bob' });
  expect((await scene.polar.customers.members.list(customerId)).items).toHaveLength(2);
});

test('a member whom Polar refuses does not block others: removed members are removed, new ones added', async () => {
  const teamId = await makeTeam(scene.database, { alice2: 'owner', bob2: 'billing', carol2: 'admin' });
  const customerId = await ensureCustomer(scene.polar, scene.database, teamId);
  await syncMembers(scene.polar, scene.database, teamId);
  const run = (sql: string, values: string[]) => scene.database.pool.query(sql, values);
  await makeTeam(scene.database, { dave2: 'owner', erin2: 'owner' });
  await run(`update users set email = 'dave@nowhere.invalid' where id = $1`, ['dave2']);
  await run(`delete from members where team_id = $1 and user_id = 'carol2'`, [teamId]);
  await run(`insert into members (team_id, user_id, role) values ($1, 'dave2', 'admin')`, [teamId]);
  await run(`insert into members (team_id, user_id, role) values ($1, 'erin2', 'admin')`, [teamId]);

  await expect(syncMembers(scene.polar, scene.database, teamId)).rejects.toMatchObject({
    code: 'member_refused',
    message: expect.stringContaining('dave2 (email_refused)'),
  });
  const inLine = { alice2: 'owner', bob2: 'billing_manager', erin2: 'billing_manager' };
  expect(await membersOf(customerId)).toEqual(inLine);

  await run(`update users set email = 'dave2@example.com' where id = $1`, ['dave2']);
  expect(await syncMembers(scene.polar, scene.database, teamId)).toBe(
    'At Polar the team has 4 members: 1 changed, 0 removed',
  );
  expect(await membersOf(customerId)).toEqual({ ...inLine, dave2: 'billing_manager' });
});

test('Polar’s owner who left is removed after one of the team’s owners has taken over', async () => {
  const teamId = await makeTeam(scene.database, { olga: 'owner' });
  const customerId = await ensureCustomer(scene.polar, scene.database, teamId);
  const run = (sql: string, values: string[]) => scene.database.pool.query(sql, values);
  await makeTeam(scene.database, { pete: 'owner', quinn: 'owner' });
  await run(`update users set email = 'pete@nowhere.invalid' where id = $1`, ['pete']);
  await run(`delete from members where team_id = $1`, [teamId]);
  await run(`insert into members (team_id, user_id, role) values ($1, 'pete', 'owner')`, [teamId]);
  await run(`insert into members (team_id, user_id, role) values ($1, 'quinn', 'owner')`, [teamId]);
  await expect(syncMembers(scene.polar, scene.database, teamId)).rejects.toMatchObject({
    code: 'member_refused',
  });
  expect(await membersOf(customerId)).toEqual({ quinn: 'owner' });
});

test('a portal is never opened for another member, even if Polar answers with that member', async () => {
  const teamId = await makeTeam(scene.database, { rosa: 'owner', sam: 'billing' });
  const customerId = await ensureCustomer(scene.polar, scene.database, teamId);
  const [owner] = (await scene.polar.customers.members.list(customerId)).items;
  await scene.polar.customers.members.update(customerId, owner?.id ?? '', { email: 'Sam@example.com' });
  await expect(openPortal(scene.polar, scene.database, { teamId, userId: 'sam' })).rejects.toMatchObject({
    code: 'email_refused',
  });
});

test('an owner whose e-mail Polar refuses gets an error, and another owner is used', async () => {
  const teamId = await makeTeam(scene.database, { tess: 'owner', ulf: 'admin' });
  const run = (sql: string, values: string[]) => scene.database.pool.query(sql, values);
  await run(`update users set email = 'tess@nowhere.invalid' where id = $1`, ['tess']);
  await expect(ensureCustomer(scene.polar, scene.database, teamId)).rejects.toMatchObject({
    code: 'email_refused',
  });
  await run(`update members set role = 'owner' where team_id = $1 and user_id = 'ulf'`, [teamId]);
  expect(await membersOf(await ensureCustomer(scene.polar, scene.database, teamId))).toEqual({
    ulf: 'owner',
  });
});

test('invoices come newest first, page by page, in our words', async () => {
  const teamId = await makeTeam(scene.database);
  for (const product of ['pack_1000', 'pack_5000', 'pack_20000']) await buy(teamId, product);
  const first = await listInvoices(scene.polar, scene.database, { teamId, limit: 2 });
  expect(first.data.map(({ product }) => product)).toEqual(['pack_20000', 'pack_5000']);
  expect(first.data[0]).toMatchObject({ status: 'paid', paid: true, totalAmount: 20000, currency: 'usd' });
  expect(first.nextCursor).not.toBeNull();
  const cursor = first.nextCursor ?? '';
  const last = await listInvoices(scene.polar, scene.database, { teamId, limit: 2, cursor });
  expect(last).toMatchObject({ data: [{ product: 'pack_1000' }], nextCursor: null });
  await expect(listInvoices(scene.polar, scene.database, { teamId, cursor: '-1' })).rejects.toMatchObject({
    code: 'invalid_cursor',
  });
  expect(
    (await openInvoice(scene.polar, scene.database, { teamId, orderId: first.data[0]?.id ?? '' })).url,
  ).toMatch(/^http/);
  const foreign = await makeTeam(scene.database);
  const unknown = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';
  const refusals = [first.data[0]?.id ?? '', unknown].map((orderId) =>
    openInvoice(scene.polar, scene.database, { teamId: foreign, orderId }).catch(toProblem),
  );
  const [ofAnother, ofNobody] = await Promise.all(refusals);
  expect(ofAnother).toMatchObject({ code: 'unknown_invoice' });
  expect(ofNobody).toEqual(ofAnother); // otherwise it would reveal that another team's order exists
  expect(await listInvoices(scene.polar, scene.database, { teamId: foreign })).toEqual({
    data: [],
    nextCursor: null,
  });
});

test('our webhook endpoint is created once, completed, and enabled again', async () => {
  const url = 'http://127.0.0.1:9/v1/webhooks/polar';
  const made = await ensureWebhookEndpoint(scene.polar, url);
  expect(made).toMatchObject({ enabled: true, secret: expect.stringMatching(/^whsec_/) });
  await scene.polar.webhooks.updateWebhookEndpoint(made.id, { enabled: false, events: ['checkout.created'] });
  expect(await ensureWebhookEndpoint(scene.polar, url)).toMatchObject({ id: made.id, enabled: true });
  const { events } = await scene.polar.webhooks.getWebhookEndpoint(made.id);
  expect(events).toEqual(expect.arrayContaining(['checkout.created', 'order.paid', 'subscription.migrated']));
  expect((await scene.polar.webhooks.listWebhookEndpoints()).items).toHaveLength(1);
});

test('our webhook endpoint is enabled alone first, and an event type that Polar refuses is left out', async () => {
  const url = 'http://127.0.0.1:9/v1/webhooks/unknown-type';
  const made = await ensureWebhookEndpoint(scene.polar, url);
  await scene.polar.webhooks.updateWebhookEndpoint(made.id, { enabled: false, events: ['checkout.created'] });
  const patches = { target: 'api', path: '/v1/webhooks/endpoints/', method: 'PATCH' };
  // The first change is made, and its answer is lost: only the first change can have had an effect.
  await scene.act('/faults', { ...patches, after_effect: 'drop' });
  await expect(reviveWebhookEndpoint(scene.polar, url)).rejects.toMatchObject({ code: 'polar_unavailable' });
  expect(await scene.polar.webhooks.getWebhookEndpoint(made.id)).toMatchObject({
    enabled: true,
    events: ['checkout.created'],
  });

  // Polar names the third of the types: the one that the endpoint has, then ours.
  const detail = [{ type: 'enum', loc: ['body', 'events', 2], msg: 'Input should be another' }];
  const body = { error: 'RequestValidationError', detail };
  await scene.act('/faults', { ...patches, status: 422, body });
  expect(await reviveWebhookEndpoint(scene.polar, url)).toEqual({
    state: 'enabled',
    refusedEvents: ['order.refunded'],
  });
  const { events } = await scene.polar.webhooks.getWebhookEndpoint(made.id);
  expect(events).toEqual(expect.arrayContaining(['checkout.created', 'order.paid', 'subscription.migrated']));
  expect(events).not.toContain('order.refunded');
});

test('every subscription of a deleted team is ended, for every customer it belongs to, and no other', async () => {
  const teamId = await makeTeam(scene.database, { alice: 'owner' });
  const neighbour = await makeTeam(scene.database, { alice: 'owner' });
  const customerId = await ensureCustomer(scene.polar, scene.database, teamId);
  const bought = await buy(teamId, 'starter_monthly');
  const paused = bought.subscription?.id ?? '';
  await pause(paused);
  const stranger = async (name: string) =>
    (await scene.polar.customers.create({ type: 'individual', email: `${name}@example.com`, name })).id;
  const byMetadata = await sell(await stranger('payer'), { team_id: teamId });
  const byMirror = await sell(await stranger('other-payer'), {});
  await mirror(scene, byMirror, teamId);
  const ofNeighbour = await sell(customerId, { team_id: neighbour });
  const standing = { byMetadata, byMirror, paused };

  const ended = await endSubscriptions(scene.polar, scene.database, teamId);
  expect(new Set(ended)).toEqual(new Set(Object.values(standing)));
  for (const id of ended)
    expect(await fetchSubscription(scene.polar, id)).toMatchObject({ status: 'canceled' });
  expect(await fetchSubscription(scene.polar, ofNeighbour)).toMatchObject({ status: 'active' });
  expect(await endSubscriptions(scene.polar, scene.database, teamId)).toEqual([]);
});

test('a subscription without metadata is ended by the customer that we stored', async () => {
  const teamId = await makeTeam(scene.database, { alice: 'owner' });
  const { id } = await scene.polar.customers.create({
    type: 'individual',
    email: 'adopted@example.com',
    name: 'Adopted',
  });
  await scene.database.fork().nativeUpdate(Team, { id: teamId }, { polarCustomerId: id });
  const sold = await sell(id, {});
  expect(await endSubscriptions(scene.polar, scene.database, teamId)).toEqual([sold]);
});

test('a team with a paused subscription cannot buy another plan; the subscription can be resumed and canceled, not changed', async () => {
  const teamId = await makeTeam(scene.database);
  const order = await buy(teamId, 'starter_monthly');
  const id = order.subscription?.id ?? '';
  await pause(id);
  const refusal = { code: 'subscription_paused', details: { plan: 'starter_monthly' } };
  // First our database does not know it yet, then it does.
  for (const heard of [false, true]) {
    if (heard) await mirror(scene, id, teamId);
    else await scene.database.fork().nativeDelete(Subscription, { id });
    await expect(checkout(teamId, 'pro_monthly')).rejects.toMatchObject(refusal);
  }
  const ask = { teamId, beforeChange };
  const change = () => changePlan(scene.polar, scene.database, { teamId, beforeChange, plan: 'pro_monthly' });
  await expect(change()).rejects.toMatchObject(refusal);
  expect((await resumeSubscription(scene.polar, scene.database, ask)).status).toBe('active');
  expect((await change()).productCatalogKey).toBe('pro_monthly');

  await pause(id);
  await mirror(scene, id, teamId);
  expect((await cancelSubscription(scene.polar, scene.database, ask)).status).toBe('canceled');
  expect((await cancelSubscription(scene.polar, scene.database, { ...ask, subscriptionId: id })).status).toBe(
    'canceled',
  );
  await mirror(scene, id, teamId);
  expect((await checkout(teamId, 'pro_monthly')).url).toMatch(/^http/);
});

test('the invoices of a customer that was deleted and created again stay in the list, page by page', async () => {
  const teamId = await makeTeam(scene.database, { alice: 'owner' });
  const first = await buy(teamId, 'pack_1000');
  await scene.polar.customers.delete(first.teamRef.customerId ?? '');
  const second = await buy(teamId, 'pack_5000');
  expect(second.teamRef.customerId).not.toBe(first.teamRef.customerId);
  const third = await buy(teamId, 'pack_20000');
  const ids: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await listInvoices(scene.polar, scene.database, {
      teamId,
      limit: 1,
      ...(cursor === undefined ? {} : { cursor }),
    });
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  expect(ids).toEqual([third.id, second.id, first.id]);
  const open = { teamId, orderId: first.id };
  expect((await openInvoice(scene.polar, scene.database, open)).url).toMatch(/^http/);
});

/** Sells the Starter plan to a customer, as another shop of the organisation would. Returns the subscription's id. */
async function sell(customerId: string, metadata: Record<string, string>): Promise<string> {
  const synced = await scene.database.fork().findOneOrFail(PolarProduct, { catalogKey: 'starter_monthly' });
  const { id } = await scene.polar.checkouts.create({
    products: [synced.polarProductId],
    customer_id: customerId,
    metadata,
  });
  await scene.act(`/checkouts/${id}/pay`);
  const sold = await scene.polar.subscriptions.list({ customer_id: customerId, sorting: ['-started_at'] });
  return sold.items[0]?.id ?? '';
}

/** Pauses a subscription at the end of its period, which is now. */
async function pause(id: string): Promise<void> {
  await scene.act(`/subscriptions/${id}/pause`);
  await scene.act(`/subscriptions/${id}/renew-now`);
  expect(await fetchSubscription(scene.polar, id)).toMatchObject({ status: 'paused' });
}
