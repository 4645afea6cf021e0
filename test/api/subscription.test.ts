import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { addMonthsAnchored } from '../../catalog/cycle.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { fetchSubscription } from '../../polar/events.ts';
import { syncProducts } from '../../polar/sync-products.ts';
import { type RunningApi, startApi } from './running-api.ts';

const tenDays = 10 * 86_400_000;
let atPolar = new Date(Date.now() - tenDays);
let api: RunningApi;
beforeAll(async () => {
  api = await startApi({ polarClock: () => atPolar });
  await syncProducts(api.dependencies.polar, api.database, { apply: true });
});
afterAll(() => api.stop());

test('a monthly plan that becomes a yearly one drips from the day of the change on, and says so at once', async () => {
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

/** Pays at Polar for a plan, and mirrors the subscription as the team's workflow would. */
async function subscribe(teamId: string, plan: string): Promise<void> {
  const { polar } = api.dependencies;
  const checkout = await api.send('POST', `/v1/teams/${teamId}/checkout`, { body: { product: plan } });
  expect(checkout.status).toBe(201);
  const [open] = (await polar.checkouts.list({ external_customer_id: teamId })).items;
  const pay = new URL(`/emulator/checkouts/${open?.id}/pay`, open?.url);
  expect((await fetch(pay, { method: 'POST' })).ok).toBe(true);
  const [sold] = (await polar.subscriptions.list({ external_customer_id: teamId })).items;
  const facts = await fetchSubscription(polar, sold?.id ?? '');
  await api.database.fork().insert(Subscription, {
    id: facts.id,
    teamId,
    plan,
    status: facts.status,
    currentPeriodStart: facts.currentPeriodStart,
    currentPeriodEnd: facts.currentPeriodEnd,
    cancelAtPeriodEnd: facts.cancelAtPeriodEnd,
    startedAt: facts.startedAt,
    anchorDay: facts.currentPeriodStart.getUTCDate(),
    stateAt: facts.stateAt,
  });
}
