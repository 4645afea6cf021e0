import { beforeAll, expect, test } from '@jest/globals';
import { cutExpiredLinks } from '../../teams/cut-expired-links.ts';
import { type Person, useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();
let ada: Person;
beforeAll(async () => {
  ada = await api.person('ada');
  const pack = await api.dependencies.polar.products.create({
    name: '1,000 credits',
    metadata: { catalog_key: 'pack_1000' },
    prices: [{ amount_type: 'fixed', price_amount: 1_200 }],
  });
  await api.database.pool.query(
    'insert into polar_products (polar_product_id, catalog_key) values ($1, $2)',
    [pack.id, 'pack_1000'],
  );
});

const link = { url: expect.stringMatching(/^http/), expiresAt: expect.stringMatching(/Z$/) };

test('a checkout is created once per key', async () => {
  const make = (product: string) =>
    api.send('POST', `/v1/teams/${ada.teamId}/checkout`, { as: ada.token, body: { product }, key: 'one' });
  const first = await make('pack_1000');
  expect(first).toMatchObject({ status: 201, json: link });
  expect((await make('pack_1000')).json).toEqual(first.json);
  expect(await make('pack_5000')).toMatchObject(refusal(409, 'idempotency_conflict'));
});

test('one key opens a checkout for each team, because keys are separate per route', async () => {
  const eve = await api.person('eve');
  const make = (teamId: string) =>
    api.send('POST', `/v1/teams/${teamId}/checkout`, { body: { product: 'pack_1000' }, key: 'shared' });
  const [one, two] = [await make(ada.teamId), await make(eve.teamId)];
  expect([one.status, two.status]).toEqual([201, 201]);
  expect(one.json).not.toEqual(two.json);
});

test('a product that is not at Polar yet cannot be sold', async () => {
  const reply = await api.send('POST', `/v1/teams/${ada.teamId}/checkout`, {
    body: { product: 'pack_5000' },
  });
  expect(reply).toMatchObject(refusal(503, 'product_not_synced', { product: 'pack_5000' }));
});

test('the portal opens for a user and for a service, and invoices are listed', async () => {
  const portal = (sending: object) => api.send('POST', `/v1/teams/${ada.teamId}/portal`, sending);
  expect(await portal({ as: ada.token })).toMatchObject({ status: 201, json: link });
  expect(await portal({})).toMatchObject({ status: 201, json: link });
  const invoices = await api.send('GET', `/v1/teams/${ada.teamId}/invoices`, { as: ada.token });
  expect(invoices).toMatchObject({ status: 200, json: { data: [], nextCursor: null } });
});

test('the same key returns the same link until it expires, and then a new one', async () => {
  const open = () => api.send('POST', `/v1/teams/${ada.teamId}/portal`, { as: ada.token, key: 'clicked' });
  const first = await open();
  expect((await open()).json).toEqual(first.json);
  await api.database.pool.query(
    `update idempotency_keys set response = response || '{"expiresAt": "2026-01-01T00:00:00.000Z"}' where key = 'clicked'`,
  );
  const [again, meanwhile] = await Promise.all([open(), open()]);
  expect(again).toMatchObject({ status: 201, json: link });
  expect(again.json).not.toMatchObject({ url: (first.json as { url: string }).url });
  expect(meanwhile.json).toEqual(again.json);
});

test('a stored answer keeps its link until it expires; then the URL is removed, and the same request gets a new one', async () => {
  const ask = {
    portal: () => api.send('POST', `/v1/teams/${ada.teamId}/portal`, { as: ada.token, key: 'kept' }),
    checkout: () =>
      api.send('POST', `/v1/teams/${ada.teamId}/checkout`, {
        as: ada.token,
        key: 'kept',
        body: { product: 'pack_1000' },
      }),
  };
  const first = { portal: await ask.portal(), checkout: await ask.checkout() };
  const stored = async () => {
    const { rows } = await api.database.pool.query(
      `select response ? 'url' as link from idempotency_keys where key = 'kept'`,
    );
    return rows.map(({ link }) => link);
  };
  await cutExpiredLinks(api.database.pool);
  expect(await stored()).toEqual([true, true]);
  expect((await ask.portal()).json).toEqual(first.portal.json);

  await api.database.pool.query(
    `update idempotency_keys set response = response || '{"expiresAt": "2026-01-01T00:00:00.000Z"}' where key = 'kept'`,
  );
  expect(await cutExpiredLinks(api.database.pool)).toBe(2);
  expect(await stored()).toEqual([false, false]);
  for (const which of ['portal', 'checkout'] as const) {
    const again = await ask[which]();
    expect(again).toMatchObject({ status: 201, json: link });
    expect(again.json).not.toEqual(first[which].json);
  }
});

test('a team without a subscription has none to show', async () => {
  const reply = await api.send('GET', `/v1/teams/${ada.teamId}/subscription`, { as: ada.token });
  expect(reply).toMatchObject({ status: 200, json: null });
});
