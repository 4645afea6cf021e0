import { beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { writeResults } from '../../api/routes/usage.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const api = useApi();
beforeAll(async () => {
  const policies = { ...defaultCatalog.policies, teamsPerUser: 2, limitsPerTeam: 3, openHoldsPerTeam: 2 };
  await publishCatalog(api.database, { ...defaultCatalog, policies });
});

test('a user may own as many teams as the catalog says, whoever creates them; a deleted one counts for another day', async () => {
  const { token: as } = await api.person('founder');
  const make = (sending: { as?: string; body: { name: string; ownerId?: string } }) =>
    api.send('POST', '/v1/teams', sending);
  const own = { as, body: { name: 'Weavers' } };
  const first = await make(own);
  expect([first.status, (await make(own)).status]).toEqual([201, 201]);
  const tooMany = refusal(409, 'too_many_teams', { limit: 2 });
  expect(await make(own)).toMatchObject(tooMany);
  expect(await make({ body: { name: 'Weavers', ownerId: 'founder' } })).toMatchObject(tooMany);

  expect((await api.send('DELETE', `/v1/teams/${idOf(first)}`, { as })).status).toBe(202);
  expect(await make(own)).toMatchObject(tooMany);
  await api.database.pool.query(`update teams set deleted_at = deleted_at - interval '25 hours'`);
  expect((await make(own)).status).toBe(201);
});

test('a team may have as many limits as the catalog says; one can be changed, or replaced after its removal', async () => {
  const { teamId, token: as } = await api.person();
  const put = (key: string, credits: string) =>
    api.send('PUT', `/v1/teams/${teamId}/limits/keys/${key}`, { as, body: { credits, per: 'day' } });
  const statuses: number[] = [];
  for (const key of ['a', 'b', 'c']) statuses.push((await put(key, '1')).status);
  expect(statuses).toEqual([200, 200, 200]);
  expect(await put('d', '1')).toMatchObject(refusal(409, 'too_many_limits', { limit: 3 }));
  expect((await put('a', '2')).status).toBe(200);
  expect((await api.send('DELETE', `/v1/teams/${teamId}/limits/keys/b`, { as })).status).toBe(204);
  expect((await put('d', '1')).status).toBe(200);
});

test('a team may have as many open holds as the catalog says; one that ends or expires makes room for another', async () => {
  const { teamId } = await api.person();
  await api.give(teamId, '100');
  const hold = (key: string) =>
    api.send('POST', `/v1/teams/${teamId}/holds`, { key, body: { action: 'workflow.run', credits: '1' } });
  const tooMany = refusal(409, 'too_many_holds', { limit: 2 });
  const made = await Promise.all([hold('a'), hold('b'), hold('c')]);
  expect(made.map(({ status }) => status).sort()).toEqual([201, 201, 409]);
  const [first, second] = made.filter(({ status }) => status === 201).map(idOf);
  expect(await hold('d')).toMatchObject(tooMany);

  expect((await api.send('POST', `/v1/holds/${first}/capture`, { body: { credits: '1' } })).status).toBe(201);
  expect((await hold('d')).status).toBe(201);
  expect((await hold('d')).status).toBe(201); // the same hold
  expect(await hold('e')).toMatchObject(tooMany);
  await api.database.pool.query(`update holds set expires_at = created_at where id = $1`, [second]);
  expect((await hold('e')).status).toBe(201);
  const other = await api.person();
  await api.give(other.teamId, '1');
  expect(
    (
      await api.send('POST', `/v1/teams/${other.teamId}/holds`, {
        body: { action: 'workflow.run', credits: '1' },
      })
    ).status,
  ).toBe(201);
});

test('members and limits are listed page by page', async () => {
  const { teamId, token: as, id: owner } = await api.person();
  for (const id of ['m1', 'm2', 'm3']) {
    await api.person(id);
    await api.send('PUT', `/v1/teams/${teamId}/members/${id}`, { body: { role: 'member' } });
  }
  const limits = ['members/m2', 'keys/k1', 'keys/k2'];
  for (const limit of limits)
    await api.send('PUT', `/v1/teams/${teamId}/limits/${limit}`, { as, body: { credits: '1', per: 'day' } });
  const pages = (list: string) => Array.fromAsync(api.pages(`/v1/teams/${teamId}/${list}?limit=2`, as));
  expect(await pages('members')).toMatchObject([
    [{ userId: owner }, { userId: 'm1' }],
    [{ userId: 'm2' }, { userId: 'm3' }],
  ]);
  expect(await pages('limits')).toMatchObject([
    [{ subject: { kind: 'member', id: 'm2' } }, { subject: { kind: 'key', id: 'k1' } }],
    [{ subject: { kind: 'key', id: 'k2' } }],
  ]);
  for (const list of ['members', 'limits'])
    expect(await api.send('GET', `/v1/teams/${teamId}/${list}?cursor=nonsense`, { as })).toMatchObject(
      refusal(400, 'invalid_cursor'),
    );
});

test('the answer to a batch of wrong events is not larger than the batch', async () => {
  const event = { ['x'.repeat(6_000)]: 1 };
  const body = { events: Array.from({ length: 1_000 }, () => event) };
  const { status, json } = await api.sendRaw('POST', '/v1/usage/batch', { body });
  const { results } = z.object({ results: z.array(z.looseObject({ status: z.int() })) }).parse(json);
  expect(status).toBe(200);
  expect(new Set(results.map((result) => result.status))).toEqual(new Set([422]));
  expect(JSON.stringify(json).length).toBeLessThan(5 * 1_048_576);
});

test('a batch whose receipts name very many grants is shortened and marked so', () => {
  const grant = {
    grantId: '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70',
    source: 'purchase',
    credits: '1',
  } as const;
  const receipt = {
    status: 201,
    id: grant.grantId,
    action: 'workflow.run',
    credits: '1',
    lines: [],
    grants: [grant, grant, grant],
    priceVersion: 1,
    holdId: null,
    balance: { available: '1' },
  } as const;
  const results = writeResults(
    [0, 1, 2].map(() => ({ ...receipt, lines: [], grants: [...receipt.grants] })),
    JSON.stringify(receipt).length + 10,
  );
  const { lines: _lines, grants: _grants, ...rest } = receipt;
  expect(results.map((json) => JSON.parse(json))).toEqual([
    receipt,
    { ...rest, shortened: true },
    { ...rest, shortened: true },
  ]);
});
