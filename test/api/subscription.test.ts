import { beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { addMonthsAnchored } from '../../catalog/cycle.ts';
import { PolarProduct } from '../../database/entities/polar-product.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import type { PolarSubscription } from '../../polar/events.ts';
import { syncProducts } from '../../polar/sync-products.ts';
import { mirror } from '../polar/setup.ts';
import { control } from '../setup/control.ts';
import { useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const tenDays = 10 * 86_400_000;
let atPolar = new Date(Date.now() - tenDays);
const api = useApi({ polarClock: () => atPolar });
beforeAll(async () => {
  await syncProducts(api.dependencies.polar, api.database, { apply: true });
});

test('a monthly plan that becomes a yearly one drips from the day of the change, and is shown so at once', async () => {
  const { teamId, token } = await api.person('ada');
  await subscribe(teamId, 'starter_monthly');
  atPolar = new Date();
  const { status, json } = await api.send('POST', `/v1/teams/${teamId}/subscription/change`, {
    as: token,
    body: { plan: 'pro_yearly' },
  });
  const secondDrip = addMonthsAnchored(atPolar, 1, atPolar.getUTCDate()).toISOString();
  expect({ status, json }).toMatchObject({
    status: 200,
    json: { plan: 'pro_yearly', cycle: { start: atPolar.toISOString() }, nextAllotment: { at: secondDrip } },
  });
});

test('a paused subscription is shown, prevents the purchase of another plan with a message, and can be resumed and canceled', async () => {
  const { teamId, token } = await api.person('ben');
  atPolar = new Date();
  const { id } = await subscribe(teamId, 'starter_monthly');
  await pause(id, teamId);
  const team: string = `/v1/teams/${teamId}`;
  const send = (method: 'GET' | 'POST', path: string, body?: object) =>
    api.send(method, `${team}${path}`, { as: token, ...(body ? { body } : {}) });

  expect((await send('GET', '/subscription')).json).toMatchObject({
    id,
    status: 'paused',
    nextAllotment: null,
    paymentDue: null,
    others: [],
  });
  const paused = refusal(409, 'subscription_paused', { plan: 'starter_monthly' });
  expect(await send('POST', '/checkout', { product: 'pro_monthly' })).toMatchObject(paused);
  expect(await send('POST', '/subscription/change', { plan: 'pro_monthly' })).toMatchObject(paused);
  expect(await send('POST', '/subscription/resume')).toMatchObject({ json: { id, status: 'active' } });
  await pause(id, teamId);
  expect(await send('POST', '/subscription/cancel')).toMatchObject({ json: { id, status: 'canceled' } });
});

test('who requested a plan change is recorded, even if the process ends right after Polar made it', async () => {
  const { teamId, token: as } = await api.person('eva');
  atPolar = new Date();
  const { id } = await subscribe(teamId, 'starter_monthly');
  const change = async (plan: string) =>
    (await api.send('POST', `/v1/teams/${teamId}/subscription/change`, { as, body: { plan } })).status;
  expect(await change('starter_monthly')).toBe(200); // nothing to change
  await api.database.pool.query(
    `alter table audit_events add constraint stopped check (action <> 'subscription.changed') not valid`,
  );
  expect(await change('pro_monthly')).toBe(500);
  await api.database.pool.query('alter table audit_events drop constraint stopped');
  expect(await change('pro_monthly')).toBe(200); // Polar had made it
  expect(await change('pro_yearly')).toBe(200);
  expect((await api.send('POST', `/v1/teams/${teamId}/subscription/cancel`, { as })).status).toBe(200);
  expect(await change('starter_monthly')).toBe(409); // Polar changes no canceled one

  const acts = await actsOf('eva');
  expect(acts).toMatchObject([
    {
      action: 'subscription.changed.requested',
      before: { plan: 'starter_monthly' },
      after: { plan: 'pro_monthly' },
    },
    {
      action: 'subscription.changed.requested',
      before: { plan: 'pro_monthly' },
      after: { plan: 'pro_yearly' },
    },
    { action: 'subscription.changed', before: { plan: 'pro_monthly' }, after: { plan: 'pro_yearly' } },
    { action: 'subscription.canceled.requested', before: { cancelAtPeriodEnd: false } },
    { action: 'subscription.canceled', after: { cancelAtPeriodEnd: true } },
    { action: 'subscription.changed.requested', after: { plan: 'starter_monthly' } },
    { action: 'subscription.changed.refused', reason: 'subscription_ended' },
  ]);
  expect(acts.every(({ subject }) => subject === id)).toBe(true);
});

test('a plan change that Polar refuses is recorded as refused', async () => {
  const { teamId, token: as } = await api.person('fay');
  atPolar = new Date();
  await subscribe(teamId, 'starter_monthly');
  const { items } = await api.dependencies.polar.customers.list({ query: teamId });
  await control(api.polarUrl, `/customers/${items[0]?.id}/card`, { declines: true });
  const path = `/v1/teams/${teamId}/subscription/change`;
  expect(await api.send('POST', path, { as, body: { plan: 'pro_monthly' } })).toMatchObject({ status: 402 });
  expect(await actsOf('fay')).toMatchObject([
    { action: 'subscription.changed.requested', after: { plan: 'pro_monthly' } },
    { action: 'subscription.changed.refused', reason: 'payment_failed', after: null },
  ]);
});

test('an answer of Polar that lacks a field is reported as Polar’s, not as an error of the request', async () => {
  const { teamId, token: as } = await api.person('gus');
  atPolar = new Date();
  const { id } = await subscribe(teamId, 'starter_monthly');
  const lacks = (path: string) =>
    control(api.polarUrl, '/faults', {
      ...{ target: 'api', method: 'GET', path, status: 200 },
      body: { items: [{ id, metadata: {} }], pagination: { total_count: 1, max_page: 1 } },
    });
  const team = `/v1/teams/${teamId}`;
  const unreadable = (field: string) =>
    refusal(502, 'polar_unreadable', {
      retriable: false,
      problems: expect.arrayContaining([expect.objectContaining({ path: field })]),
    });
  await lacks('/v1/subscriptions/');
  expect(await api.send('GET', `${team}/subscription/preview?plan=pro_monthly`, { as })).toMatchObject(
    unreadable('subscription.status'),
  );
  await lacks('/v1/subscriptions/');
  expect(await api.send('POST', `${team}/subscription/cancel`, { as })).toMatchObject(
    unreadable('subscription.status'),
  );
  await lacks('/v1/orders/');
  expect(await api.send('GET', `${team}/invoices`, { as })).toMatchObject(unreadable('order.status'));
});

test('several subscriptions of one team are all shown, the active one first, and each can be canceled by its id', async () => {
  const { teamId, token } = await api.person('cid');
  atPolar = new Date();
  const first = await subscribe(teamId, 'starter_monthly');
  await pause(first.id, teamId);
  const { polar, database } = api.dependencies;
  // Sold at Polar itself, in addition to the paused one.
  const synced = await database.fork().findOneOrFail(PolarProduct, { catalogKey: 'pro_monthly' });
  const { items } = await polar.customers.list({ query: teamId });
  const sale = { products: [synced.polarProductId], customer_id: items[0]?.id ?? '' };
  const { id } = await polar.checkouts.create({ ...sale, metadata: { team_id: teamId } });
  const second = await pay(id, teamId);

  const shown = (await api.send('GET', `/v1/teams/${teamId}/subscription`, { as: token })).json;
  expect(shown).toMatchObject({
    id: second.id,
    plan: 'pro_monthly',
    others: [{ id: first.id, plan: 'starter_monthly', status: 'paused' }],
  });
  const cancel = (subscriptionId?: string) =>
    api.send('POST', `/v1/teams/${teamId}/subscription/cancel`, {
      as: token,
      ...(subscriptionId ? { body: { subscriptionId } } : {}),
    });
  expect(await cancel(first.id)).toMatchObject({ json: { id: first.id, status: 'canceled' } });
  expect(await cancel()).toMatchObject({ json: { id: second.id, cancelAtPeriodEnd: true } });
  expect(await cancel('someone-elses')).toMatchObject(refusal(404, 'unknown_subscription'));
});

test('the next allotment never lies in the past, and a due payment is shown with its credits', async () => {
  const { teamId, token } = await api.person('dora');
  atPolar = new Date();
  const { id, currentPeriodStart } = await subscribe(teamId, 'starter_monthly');
  const show = async () => (await api.send('GET', `/v1/teams/${teamId}/subscription`, { as: token })).json;
  const set = (more: Partial<Subscription>) => api.database.fork().nativeUpdate(Subscription, { id }, more);

  await set({ status: 'past_due' });
  const due = { since: currentPeriodStart.toISOString(), credits: '2000' };
  expect(await show()).toMatchObject({ status: 'past_due', nextAllotment: null, paymentDue: due });

  // The period is over, and its renewal is not known yet.
  const end = new Date(Date.now() - 3_600_000);
  await set({
    status: 'active',
    currentPeriodStart: new Date(end.getTime() - 30 * 86_400_000),
    currentPeriodEnd: end,
  });
  expect(await show()).toMatchObject({
    nextAllotment: null,
    paymentDue: { since: end.toISOString(), credits: '2000' },
  });
  await set({ cancelAtPeriodEnd: true });
  expect(await show()).toMatchObject({ nextAllotment: null, paymentDue: null });
});

/** The audit records of a user, oldest first. */
async function actsOf(userId: string) {
  const { json } = await api.send('GET', `/v1/audit?actor=person:${userId}`);
  const act = z.looseObject({ action: z.string(), subject: z.string().nullable() });
  return z
    .object({ data: z.array(act) })
    .parse(json)
    .data.reverse();
}

/** Buys a plan at Polar, and stores the subscription. */
async function subscribe(teamId: string, plan: string): Promise<PolarSubscription> {
  const checkout = await api.send('POST', `/v1/teams/${teamId}/checkout`, { body: { product: plan } });
  expect(checkout.status).toBe(201);
  return pay(idOf(checkout), teamId);
}

async function pay(id: string, teamId: string): Promise<PolarSubscription> {
  await control(api.polarUrl, `/checkouts/${id}/pay`);
  const { items } = await api.dependencies.polar.subscriptions.list({ metadata: { team_id: teamId } });
  return mirror(api.dependencies, items.find(({ checkout_id }) => checkout_id === id)?.id ?? '', teamId);
}

/** Pauses a subscription at the end of its period, which is now. */
async function pause(id: string, teamId: string): Promise<void> {
  atPolar = new Date(atPolar.getTime() + 1);
  for (const button of ['pause', 'renew-now']) await control(api.polarUrl, `/subscriptions/${id}/${button}`);
  expect(await mirror(api.dependencies, id, teamId)).toMatchObject({ status: 'paused' });
}
