import { beforeAll, expect, test } from '@jest/globals';
import { type Person, useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const api = useApi();
let people: Record<'owner' | 'admin' | 'billing' | 'member' | 'stranger', Person>;
beforeAll(async () => {
  people = await api.people('owner', 'admin', 'billing', 'member', 'stranger');
});

/** A shared team with everyone except the stranger. */
const makeTeam = () => api.team(people.owner, { admin: 'admin', billing: 'billing', member: 'member' });

const usage = { action: 'workflow.run', quantities: { runs: 1 } };

test.each([
  ['admin', 403, 'forbidden'],
  ['billing', 403, 'forbidden'],
  ['member', 403, 'forbidden'],
  ['stranger', 404, 'unknown_team'],
] as const)('a team’s %s may not delete it: %i %s, and nothing changes', async (who, status, code) => {
  const path = `/v1/teams/${await makeTeam()}`;
  const before = await api.snapshot();
  expect(await api.send('DELETE', path, { as: people[who].token })).toMatchObject({ status, json: { code } });
  expect(await api.snapshot()).toBe(before);
});

test.each([
  ['onboarding', 202],
  ['admin', 202],
  ['billing', 403],
  ['usage', 403],
] as const)('a service with the scope %s that deletes a team is answered %i', async (scope, status) => {
  const { key } = await api.key(scope);
  expect((await api.send('DELETE', `/v1/teams/${await makeTeam()}`, { as: key })).status).toBe(status);
});

test('an owner deletes a team: nobody sees it and nothing is spent from then on; a repetition changes nothing', async () => {
  const teamId = await makeTeam();
  await api.give(teamId, '100');
  const held = await api.send('POST', `/v1/teams/${teamId}/holds`, {
    body: { action: 'workflow.run', credits: '10' },
  });
  const holdId = idOf(held);
  const remove = () => api.send('DELETE', `/v1/teams/${teamId}`, { as: people.owner.token });
  const [first, ...others] = await Promise.all([remove(), remove(), remove()]);
  expect(first).toMatchObject({ status: 202, json: { id: teamId, deletedAt: expect.any(String) } });
  for (const reply of [...others, await remove(), await api.send('DELETE', `/v1/teams/${teamId}`)])
    expect(reply).toMatchObject({ status: 202, json: first?.json });

  const refused = refusal(409, 'team_deleted');
  expect(await api.send('POST', `/v1/teams/${teamId}/usage`, { body: usage })).toMatchObject(refused);
  expect(
    await api.send('POST', `/v1/teams/${teamId}/holds`, { body: { action: 'workflow.run', credits: '10' } }),
  ).toMatchObject(refused);
  expect(await api.send('POST', `/v1/holds/${holdId}/capture`, { body: { credits: '1' } })).toMatchObject(
    refused,
  );
  for (const path of ['', '/balance', '/members', '/subscription'])
    expect(await api.send('GET', `/v1/teams/${teamId}${path}`, { as: people.owner.token })).toMatchObject(
      refusal(404, 'unknown_team'),
    );
  for (const path of [
    '',
    '/balance',
    '/balance?at=2026-01-01T00:00:00Z',
    '/forecast',
    '/usage',
    '/ledger',
    '/limits',
  ])
    expect(await api.send('GET', `/v1/teams/${teamId}${path}`)).toMatchObject(refusal(404, 'unknown_team'));
  const { rows } = await api.database.pool.query(
    `select status from inbox where team_id = $1 and type = 'team.deleted'`,
    [teamId],
  );
  expect(rows).toEqual([{ status: 'received' }]);
});

test('a Personal Team is deleted only with its user', async () => {
  for (const as of [people.owner.token, undefined]) {
    const reply = await api.send(
      'DELETE',
      `/v1/teams/${people.owner.teamId}`,
      as === undefined ? {} : { as },
    );
    expect(reply).toMatchObject(refusal(409, 'personal_team'));
  }
});

test('a team or user that does not exist cannot be deleted', async () => {
  const nowhere = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';
  expect(await api.send('DELETE', `/v1/teams/${nowhere}`)).toMatchObject(refusal(404, 'unknown_team'));
  expect(await api.send('DELETE', '/v1/teams/x')).toMatchObject({ status: 400 });
  expect(await api.send('DELETE', '/v1/users/nobody')).toMatchObject(refusal(404, 'unknown_user'));
});

test('a user erases only themselves; a service needs onboarding or admin', async () => {
  const { token } = await api.person('eve');
  const { key } = await api.key('billing', 'usage');
  for (const as of [people.admin.token, key])
    expect(await api.send('DELETE', '/v1/users/eve', { as })).toMatchObject(refusal(403, 'forbidden'));
  const erase = () => api.send('DELETE', '/v1/users/eve', { as: token });
  const [first, ...others] = await Promise.all([erase(), erase(), erase()]);
  expect(first).toMatchObject({ status: 202, json: { id: 'eve', erasedAt: expect.any(String) } });
  for (const reply of [...others, await erase()])
    expect(reply).toMatchObject({ status: 202, json: first?.json });
});

test('the last owner of a team with other members cannot leave before it has another owner or is deleted', async () => {
  const { token } = await api.person('frank');
  const make = async (name: string) => {
    const reply = await api.send('POST', '/v1/teams', { as: token, body: { name } });
    return idOf(reply);
  };
  const [handed, deleted, shared] = [await make('Handed'), await make('Deleted'), await make('Shared')];
  for (const id of [handed, deleted]) {
    await api.send('PUT', `/v1/teams/${id}/members/admin`, { body: { role: 'member' } });
  }
  await api.send('PUT', `/v1/teams/${shared}/members/admin`, { body: { role: 'owner' } });
  const erase = () => api.send('DELETE', '/v1/users/frank', { as: token });
  const before = await api.snapshot();
  expect(await erase()).toMatchObject({
    status: 409,
    json: {
      code: 'last_owner',
      teams: [
        { id: handed, name: 'Handed' },
        { id: deleted, name: 'Deleted' },
      ],
    },
  });
  expect(await api.snapshot()).toBe(before);

  await api.send('DELETE', `/v1/teams/${deleted}`, { as: token });
  const invited = await api.send('POST', `/v1/teams/${handed}/invitations`, {
    as: token,
    body: { userId: 'admin', role: 'owner' },
  });
  const invitation = idOf(invited);
  await api.send('POST', `/v1/invitations/${invitation}/accept`, { as: people.admin.token });
  expect(await erase()).toMatchObject({ status: 202 });
  const { rows } = await api.database.pool.query(`select team_id from members where user_id = 'frank'`);
  expect(rows).toEqual([]);
});

test('teams whose only member is erased are deleted; their open invitations are revoked', async () => {
  const henry = await api.person('henry');
  const { token } = henry;
  const alone = await api.team(henry);
  const inviting = await makeTeam();
  await api.send('POST', `/v1/teams/${inviting}/invitations`, {
    as: people.owner.token,
    body: { email: 'HENRY@example.com', role: 'member' },
  });
  expect(await api.send('DELETE', '/v1/users/henry', { as: token })).toMatchObject({ status: 202 });
  expect(await api.send('GET', `/v1/teams/${alone}`)).toMatchObject({ status: 404 });
  const { rows } = await api.database.pool.query(
    `select type from inbox where team_id = $1 and type = 'team.deleted'`,
    [alone],
  );
  expect(rows).toHaveLength(1);
  const invitations = await api.database.pool.query(
    'select status, email from invitations where team_id = $1',
    [inviting],
  );
  expect(invitations.rows).toEqual([{ status: 'revoked', email: null }]);
});

test('an erased user has no name, no e-mail and no team, cannot sign up again and joins no team', async () => {
  const grace = await api.person('grace');
  const teamId = await makeTeam();
  await api.send('PUT', `/v1/teams/${teamId}/members/grace`, { body: { role: 'member' } });
  await api.send('DELETE', '/v1/users/grace');

  const { rows } = await api.database.pool.query(`select email, name from users where id = 'grace'`);
  expect(rows).toEqual([{ email: null, name: null }]);
  expect(await api.send('GET', `/v1/teams/${grace.teamId}`)).toMatchObject({ status: 404 });
  expect(await api.send('GET', '/v1/teams', { as: grace.token })).toMatchObject({ json: { data: [] } });
  const person = { id: 'grace', email: 'grace@example.com', name: 'grace' };
  expect(await api.send('POST', '/v1/users', { body: person })).toMatchObject(refusal(410, 'user_erased'));
  const join = await api.send('PUT', `/v1/teams/${teamId}/members/grace`, { body: { role: 'member' } });
  expect(join).toMatchObject(refusal(404, 'unknown_user'));
});

test('after a concurrent erasure and membership, no membership of the erased user is left', async () => {
  const teams = await Promise.all([makeTeam(), makeTeam(), makeTeam()]);
  for (let round = 0; round < 5; round += 1) {
    const id = `brief${round}`;
    await api.person(id);
    const replies = await Promise.all([
      ...teams.map((team) =>
        api.send('PUT', `/v1/teams/${team}/members/${id}`, { body: { role: 'billing' } }),
      ),
      api.send('DELETE', `/v1/users/${id}`),
      ...teams.map((team) => api.send('PUT', `/v1/teams/${team}/members/${id}`, { body: { role: 'owner' } })),
    ]);
    expect(replies.filter(({ status }) => status >= 500)).toEqual([]);
    const { rows } = await api.database.pool.query(
      `select members.user_id from members join users on users.id = members.user_id
        where members.user_id = $1 and users.erased_at is not null`,
      [id],
    );
    expect(rows).toEqual([]);
  }
});

test('names, e-mails and postal addresses are removed from a stored webhook; the rest stays', async () => {
  const { withoutPersonalData } = await import('../../inbox/inbox.ts');
  expect(
    withoutPersonalData({
      id: 'o1',
      net_amount: 100,
      customer: {
        id: 'c1',
        email: 'ada@example.com',
        billing_name: 'Ada',
        billing_address: { city: 'x' },
        tax_id: ['y'],
      },
      customer_ip_address: '10.0.0.1',
      metadata: { team_id: 't1', note: 'ask ada@example.com' },
      items: [{ label: 'Pro', proration: false }],
    }),
  ).toEqual({
    id: 'o1',
    net_amount: 100,
    customer: { id: 'c1' },
    metadata: { team_id: 't1', note: null },
    items: [{ label: 'Pro', proration: false }],
  });
});
