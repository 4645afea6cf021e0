import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { components } from '../../client/api-types.ts';
import { type Person, useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const api = useApi();
let people: Record<'owner' | 'admin' | 'member' | 'guest' | 'stranger', Person>;
let teamId: string;
beforeAll(async () => {
  people = await api.people('owner', 'admin', 'member', 'guest', 'stranger');
});
beforeEach(async () => {
  teamId = await api.team(people.owner, { admin: 'admin', member: 'member' });
});

const send = (body: components['schemas']['NewInvitation'], as = people.owner.token) =>
  api.send('POST', `/v1/teams/${teamId}/invitations`, { as, body });
const accept = (id: string, { token }: Person) =>
  api.send('POST', `/v1/invitations/${id}/accept`, { as: token });
const decline = (id: string, { token }: Person) =>
  api.send('POST', `/v1/invitations/${id}/decline`, { as: token });
const mine = async ({ token }: Person) => {
  const { json } = await api.send('GET', '/v1/invitations', { as: token });
  const { data } = z
    .object({ data: z.array(z.object({ id: z.string(), team: z.object({ id: z.string() }) })) })
    .parse(json);
  return data.filter(({ team }) => team.id === teamId).map(({ id }) => id);
};
const roleOf = async (userId: string) => {
  const { rows } = await api.database.pool.query<{ role: string }>(
    'select role from members where team_id = $1 and user_id = $2',
    [teamId, userId],
  );
  return rows[0]?.role ?? null;
};

test.each([
  ['user id', { userId: 'guest' }],
  ['e-mail, in any case', { email: 'Guest@Example.com' }],
])('a user invited by %s joins once, with the accepted role', async (_, invitee) => {
  const sent = await send({ ...invitee, role: 'billing' });
  expect(sent).toMatchObject({
    status: 201,
    json: { ...invitee, role: 'billing', invitedBy: 'person:owner' },
  });
  expect(JSON.stringify(sent.json)).not.toContain('"name"');
  expect(await roleOf('guest')).toBeNull();
  expect(await mine(people.guest)).toEqual([idOf(sent)]);
  for (let times = 0; times < 2; times += 1) {
    expect(await accept(idOf(sent), people.guest)).toMatchObject({
      status: 200,
      json: { team: { id: teamId, name: 'Weavers' }, role: 'billing' },
    });
  }
  expect(await roleOf('guest')).toBe('billing');
  expect(await mine(people.guest)).toEqual([]);
  const { rows } = await api.database.pool.query(
    `select type from inbox where team_id = $1 and type = 'members.changed'`,
    [teamId],
  );
  expect(rows).toHaveLength(2); // the admin's and the guest's
});

test('an invitation answers the same for users who exist and users who do not', async () => {
  const bodies = [
    await send({ userId: 'guest', role: 'member' }),
    await send({ userId: 'nobody', role: 'member' }),
    await send({ email: 'guest@example.com', role: 'member' }),
    await send({ email: 'nobody@example.com', role: 'member' }),
  ];
  expect(bodies.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
  const shapes = bodies.map(({ json }) => Object.keys(z.looseObject({}).parse(json)).sort().join());
  expect(shapes[0]).toBe(shapes[1]);
  expect(shapes[2]).toBe(shapes[3]);
});

test('only the invited user can answer an invitation, and it is unknown to all others', async () => {
  const id = idOf(await send({ userId: 'guest', role: 'member' }));
  const missing = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';
  for (const answer of [accept, decline]) {
    const [foreign, unknown] = [await answer(id, people.stranger), await answer(missing, people.stranger)];
    expect(foreign).toMatchObject(refusal(404, 'unknown_invitation'));
    expect(JSON.stringify(foreign.json).replaceAll(id, missing)).toBe(JSON.stringify(unknown.json));
  }
  expect(await mine(people.stranger)).toEqual([]);
});

test('nobody joins by a declined, revoked, expired or replaced invitation', async () => {
  const declined = idOf(await send({ userId: 'guest', role: 'member' }));
  for (let times = 0; times < 2; times += 1) expect((await decline(declined, people.guest)).status).toBe(204);
  expect((await accept(declined, people.guest)).status).toBe(404);

  const revoked = idOf(await send({ userId: 'guest', role: 'member' }));
  const path = `/v1/teams/${teamId}/invitations/${revoked}`;
  expect((await api.send('DELETE', path, { as: people.member.token })).status).toBe(403);
  expect((await api.send('DELETE', path, { as: people.admin.token })).status).toBe(204);
  expect((await api.send('DELETE', path, { as: people.admin.token })).status).toBe(404);
  expect((await accept(revoked, people.guest)).status).toBe(404);

  const expired = idOf(await send({ userId: 'guest', role: 'member' }));
  await api.database.pool.query('update invitations set expires_at = billing_now() where id = $1', [expired]);
  expect((await accept(expired, people.guest)).status).toBe(404);
  expect(await mine(people.guest)).toEqual([]);

  const replaced = idOf(await send({ userId: 'guest', role: 'admin' }));
  const replacing = idOf(await send({ userId: 'guest', role: 'member' }));
  expect((await accept(replaced, people.guest)).status).toBe(404);
  expect(await accept(replacing, people.guest)).toMatchObject({ status: 200, json: { role: 'member' } });
});

test('nobody joins by an invitation of a removed admin', async () => {
  const id = idOf(await send({ userId: 'guest', role: 'admin' }, people.admin.token));
  await api.send('DELETE', `/v1/teams/${teamId}/members/admin`, { as: people.owner.token });
  expect(await mine(people.guest)).toEqual([]);
  expect((await accept(id, people.guest)).status).toBe(404);
  expect(await roleOf('guest')).toBeNull();
});

test('a removed member cannot join again by accepting the same invitation', async () => {
  const id = idOf(await send({ userId: 'guest', role: 'member' }));
  await accept(id, people.guest);
  await api.send('DELETE', `/v1/teams/${teamId}/members/guest`, { as: people.owner.token });
  expect((await accept(id, people.guest)).status).toBe(404);
  expect(await roleOf('guest')).toBeNull();
});

test('a user becomes an owner only by accepting, and only an owner invites owners', async () => {
  const promote = await api.send('PUT', `/v1/teams/${teamId}/members/member`, {
    as: people.owner.token,
    body: { role: 'owner' },
  });
  expect(promote).toMatchObject(refusal(409, 'consent_required'));
  expect(await send({ userId: 'member', role: 'owner' }, people.admin.token)).toMatchObject({ status: 403 });
  const id = idOf(await send({ userId: 'member', role: 'owner' }));
  expect(await roleOf('member')).toBe('member');
  expect(await accept(id, people.member)).toMatchObject({ status: 200, json: { role: 'owner' } });
  expect(await roleOf('member')).toBe('owner');
  expect(
    (await api.send('DELETE', `/v1/teams/${teamId}/members/owner`, { as: people.owner.token })).status,
  ).toBe(204);
});

test('members and strangers cannot invite, and a member of the team is not invited again', async () => {
  const before = await api.snapshot();
  expect(await send({ userId: 'guest', role: 'member' }, people.member.token)).toMatchObject({ status: 403 });
  expect(await send({ userId: 'guest', role: 'member' }, people.stranger.token)).toMatchObject({
    status: 404,
  });
  expect(await send({ email: 'MEMBER@example.com', role: 'admin' })).toMatchObject(
    refusal(409, 'already_member'),
  );
  for (const body of [{ role: 'member' }, { userId: 'a', email: 'a@example.com', role: 'member' }]) {
    const reply = await api.sendRaw('POST', `/v1/teams/${teamId}/invitations`, { body });
    expect(reply).toMatchObject({ status: 422 });
  }
  expect(await api.snapshot()).toBe(before);
});

test('a team sends at most 50 invitations within a day, even if it revokes some', async () => {
  for (let sent = 0; sent < 50; sent += 1) {
    const reply = await send({ userId: `guest_${sent}`, role: 'member' });
    expect(reply.status).toBe(201);
    if (sent % 2 === 0) await api.send('DELETE', `/v1/teams/${teamId}/invitations/${idOf(reply)}`);
  }
  expect(await send({ userId: 'one_more', role: 'member' })).toMatchObject(
    refusal(429, 'too_many_invitations'),
  );
  const list = await api.send('GET', `/v1/teams/${teamId}/invitations?limit=100`, { as: people.admin.token });
  expect(z.object({ data: z.array(z.unknown()) }).parse(list.json).data).toHaveLength(25);
});
