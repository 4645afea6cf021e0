import { expect, test } from '@jest/globals';
import { createPolarBudget } from '../../api/polar-budget.ts';
import { storeInboxEvent } from '../../inbox/inbox.ts';
import { control } from '../setup/control.ts';
import { useApi } from './running-api.ts';

const api = useApi();

const invoicesOf = ({ teamId, token }: { teamId: string; token: string }) =>
  api.send('GET', `/v1/teams/${teamId}/invoices`, { as: token });

test('a team with too many requests to Polar gets 429 with Retry-After, and another team is served', async () => {
  const [noisy, quiet] = [await api.person(), await api.person()];
  const flood = await Promise.all(Array.from({ length: 90 }, () => invoicesOf(noisy)));
  const refused = flood.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(flood.length - refused.length).toBeGreaterThanOrEqual(60);
  for (const { headers, json } of refused) {
    expect(headers.get('content-type')).toMatch('application/problem+json');
    expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(json).toMatchObject({ code: 'too_many_requests', status: 429 });
  }
  expect((await invoicesOf(quiet)).status).toBe(200);
  for (const [method, path] of [
    ['POST', 'checkout'],
    ['POST', 'portal'],
    ['POST', 'subscription/cancel'],
    ['GET', 'checkouts/0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70'],
  ] as const) {
    const body = path === 'checkout' ? { body: { product: 'pack_1000' } } : {};
    const reply = await api.send(method, `/v1/teams/${noisy.teamId}/${path}`, { as: noisy.token, ...body });
    expect({ path, status: reply.status }).toEqual({ path, status: 429 });
  }
});

test('the budget refills with time, and all teams together have one too', () => {
  let now = 0;
  const budget = createPolarBudget(() => now);
  const take = (owner: string, times: number) => {
    for (let i = 0; i < times; i += 1) budget.take([owner]);
  };
  take('a', 60);
  expect(() => take('a', 1)).toThrow(
    expect.objectContaining({ code: 'too_many_requests', details: { retryAfterSeconds: 1 } }),
  );
  now += 1_000;
  take('a', 1);
  expect(() => take('a', 1)).toThrow(expect.objectContaining({ code: 'too_many_requests' }));
  for (const owner of ['b', 'c', 'd', 'e']) take(owner, 60);
  expect(() => take('f', 60)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  now += 60_000;
  take('f', 60);
});

test('repeated lists of invoices are fetched once, and again after an event of the team', async () => {
  const { teamId, token } = await api.person();
  const first = await invoicesOf({ teamId, token });
  expect(first.status).toBe(200);
  await failNext('/v1/orders');
  expect(await invoicesOf({ teamId, token })).toMatchObject({ status: 200, json: first.json });
  await api.database.transaction((em) =>
    storeInboxEvent(em, { teamId, source: 'polar', type: 'order.refunded', externalId: null, payload: {} }),
  );
  // The cached page is not used any more: Polar is called, and fails.
  expect((await invoicesOf({ teamId, token })).status).toBe(503);
  await clearFaults();
  expect((await invoicesOf({ teamId, token })).status).toBe(200);
});

test('however often roles change, only one change of members waits for Polar', async () => {
  const { teamId } = await api.person();
  await api.person('flipped');
  for (let times = 0; times < 20; times += 1) {
    const role = times % 2 === 0 ? 'billing' : 'member';
    await api.send('PUT', `/v1/teams/${teamId}/members/flipped`, { body: { role } });
  }
  const parked = `update inbox set status = 'parked', parked_code = 'member_refused' where team_id = $1 and status = 'received'`;
  await api.database.pool.query(parked, [teamId]);
  await api.send('PUT', `/v1/teams/${teamId}/members/flipped`, { body: { role: 'admin' } });
  const { rows } = await api.database.pool.query(
    `select status, next_signal_at is not null as due from inbox
      where team_id = $1 and type = 'members.changed' and status in ('received', 'parked')`,
    [teamId],
  );
  expect(rows).toEqual([{ status: 'received', due: true }]);
});

async function failNext(path: string): Promise<void> {
  await control(api.polarUrl, '/faults', { target: 'api', path, status: 500, times: 100 });
}

const clearFaults = () => control(api.polarUrl, '/faults/clear');
