import { beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { type Person, useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const api = useApi();
let people: Record<'owner' | 'admin' | 'billing' | 'member' | 'stranger', Person>;
let teamId: string;

beforeAll(async () => {
  people = await api.people('owner', 'admin', 'billing', 'member', 'stranger');
  teamId = await api.team(people.owner, { admin: 'admin', billing: 'billing', member: 'member' });
});

// 200 means "allowed": the route's own result (no subscription, nothing synced) does not depend on the role.
test.each([
  ['GET', '', 'owner admin billing member', ''],
  ['GET', '/balance', 'owner admin billing member', ''],
  ['GET', '/members', 'owner admin billing member', ''],
  ['GET', '/subscription', 'owner admin billing member', ''],
  ['GET', '/invoices', 'owner admin billing', 'member'],
  ['POST', '/checkout', 'owner admin billing', 'member'],
  ['POST', '/portal', 'owner admin billing', 'member'],
  ['GET', '/subscription/preview?plan=pro_monthly', 'owner admin billing', 'member'],
  ['POST', '/subscription/change', 'owner admin billing', 'member'],
  ['POST', '/subscription/cancel', 'owner admin billing', 'member'],
  ['POST', '/subscription/resume', 'owner admin billing', 'member'],
  ['PUT', '/members/stranger', 'owner admin', 'billing member'],
  ['DELETE', '/members/nobody', 'owner admin', 'billing member'],
  ['POST', '/usage', '', 'owner admin billing member stranger'],
] as const)('%s %s is for [%s], not for [%s]', async (method, path, allowed, refused) => {
  const call = (name: string) =>
    api.sendRaw(method, `/v1/teams/${teamId}${path}`, {
      as: z.object({ token: z.string() }).parse(Reflect.get(people, name)).token,
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: {} }),
    });
  for (const name of allowed.split(' ').filter(Boolean)) {
    const { status, json } = await call(name);
    expect({ name, status, json }).not.toMatchObject({ status: 403 });
    expect({ name, status, json }).not.toMatchObject({ json: { code: 'unknown_team' } });
    expect(status).not.toBe(500);
  }
  for (const name of refused.split(' ').filter(Boolean)) {
    expect(await call(name)).toMatchObject(refusal(403, 'forbidden'));
  }
  if (!refused.includes('stranger')) {
    expect(await call('stranger')).toMatchObject(refusal(404, 'unknown_team'));
  }
});

test('for a foreign team the answer is exactly that for an unknown team', async () => {
  const nowhere = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';
  const ask = (id: string) => api.send('GET', `/v1/teams/${id}/balance`, { as: people.stranger.token });
  const [foreign, missing] = [await ask(teamId), await ask(nowhere)];
  expect(JSON.stringify(foreign.json).replaceAll(teamId, nowhere)).toBe(JSON.stringify(missing.json));
  expect(missing.status).toBe(404);
});

test('the last owner can be neither removed nor demoted, not even by two concurrent requests', async () => {
  const path = `/v1/teams/${teamId}/members`;
  for (const as of [people.owner.token, undefined]) {
    const caller = as === undefined ? {} : { as };
    expect(await api.send('DELETE', `${path}/owner`, caller)).toMatchObject(refusal(409, 'last_owner'));
    expect(await api.send('PUT', `${path}/owner`, { ...caller, body: { role: 'admin' } })).toMatchObject(
      refusal(409, 'last_owner'),
    );
  }
  await api.send('PUT', `${path}/admin`, { body: { role: 'owner' } });
  const both = await Promise.all(
    ['owner', 'admin'].map((id) => api.send('PUT', `${path}/${id}`, { body: { role: 'admin' } })),
  );
  expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
  await api.send('PUT', `${path}/owner`, { body: { role: 'owner' } });
  await api.send('PUT', `${path}/admin`, { body: { role: 'admin' } });
});

test('an admin cannot appoint an owner, not even themselves, and cannot remove one', async () => {
  const path = `/v1/teams/${teamId}/members`;
  const as = people.admin.token;
  for (const id of ['admin', 'member']) {
    const reply = await api.send('PUT', `${path}/${id}`, { as, body: { role: 'owner' } });
    expect(reply).toMatchObject({ status: 403, json: { allowedRoles: ['owner'] } });
  }
  expect((await api.send('DELETE', `${path}/owner`, { as })).status).toBe(403);
});

test('the owner of a Personal Team stays its owner, even if others become owners', async () => {
  const { teamId: personal, token } = people.owner;
  await api.send('PUT', `/v1/teams/${personal}/members/admin`, { body: { role: 'owner' } });
  for (const as of [token, people.admin.token]) {
    const reply = await api.send('DELETE', `/v1/teams/${personal}/members/owner`, { as });
    expect(reply).toMatchObject(refusal(409, 'personal_team_owner'));
  }
});

test('every member may leave a team, and only owner and admin remove others', async () => {
  const id = await api.team(people.owner, { admin: 'admin', billing: 'billing', member: 'member' });
  const path = `/v1/teams/${id}/members`;
  for (const name of ['billing', 'member'] as const) {
    expect(await api.send('DELETE', `${path}/admin`, { as: people[name].token })).toMatchObject({
      status: 403,
    });
  }
  for (const name of ['member', 'billing', 'admin'] as const) {
    expect((await api.send('DELETE', `${path}/${name}`, { as: people[name].token })).status).toBe(204);
    expect((await api.send('GET', `/v1/teams/${id}`, { as: people[name].token })).status).toBe(404);
  }
  expect(await api.send('DELETE', `${path}/owner`, { as: people.owner.token })).toMatchObject(
    refusal(409, 'last_owner'),
  );
});

test('a user cannot add anyone to a team, and the answer is the same for known and unknown users', async () => {
  const put = (id: string) =>
    api.send('PUT', `/v1/teams/${people.owner.teamId}/members/${id}`, {
      as: people.owner.token,
      body: { role: 'member' },
    });
  const [known, unknown] = [await put('stranger'), await put('no_such_user')];
  expect(known).toMatchObject(refusal(404, 'unknown_member'));
  expect(JSON.stringify(known.json).replaceAll('stranger', 'no_such_user')).toBe(
    JSON.stringify(unknown.json),
  );
});

test('a removed member no longer sees the team', async () => {
  await api.send('PUT', `/v1/teams/${teamId}/members/stranger`, { body: { role: 'member' } });
  const look = () => api.send('GET', `/v1/teams/${teamId}`, { as: people.stranger.token });
  expect((await look()).status).toBe(200);
  expect((await api.send('DELETE', `/v1/teams/${teamId}/members/stranger`)).status).toBe(204);
  expect((await look()).status).toBe(404);
});

test('a user lists their own teams, page by page, each with their role', async () => {
  const pages = await Array.fromAsync(api.pages('/v1/teams?limit=1', people.billing.token));
  expect(pages.map((page) => page.map(({ id, role }) => `${id} ${role}`)).sort()).toEqual(
    [[`${people.billing.teamId} owner`], [`${teamId} billing`]].sort(),
  );
});

test('a team is created once per key, and the same key with another body is a conflict', async () => {
  const make = (name: string) =>
    api.send('POST', '/v1/teams', {
      as: people.owner.token,
      body: { name, ownerId: 'owner' },
      key: 'make-once',
    });
  const replies = await Promise.all([make('Once'), make('Once'), make('Once')]);
  expect(new Set(replies.map((reply) => `${reply.status} ${idOf(reply)}`)).size).toBe(1);
  expect(replies[0]).toMatchObject({ status: 201, json: { name: 'Once', personal: false } });
  expect(await make('Twice')).toMatchObject(refusal(409, 'idempotency_conflict'));
});

test('a user creates teams only for themselves, and a service must name an existing owner', async () => {
  const make = (sending: { as?: string; body: { name: string; ownerId?: string } }) =>
    api.send('POST', '/v1/teams', sending);
  expect(await make({ as: people.owner.token, body: { name: 'x', ownerId: 'admin' } })).toMatchObject({
    status: 403,
  });
  expect(await make({ body: { name: 'x' } })).toMatchObject({
    status: 422,
    json: { errors: [{ path: 'ownerId' }] },
  });
  expect(await make({ body: { name: 'x', ownerId: 'nobody' } })).toMatchObject(refusal(422, 'unknown_owner'));
});
