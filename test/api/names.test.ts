import { beforeAll, expect, test } from '@jest/globals';
import { untilWaitingForLock } from '../setup/lock-waits.ts';
import { type Person, useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const api = useApi();
let owner: Person;
let member: Person;
let teamId: string;
beforeAll(async () => {
  owner = await api.person('owner');
  member = await api.person('member');
  teamId = await api.team(owner, { member: 'member' });
});

const inbox = async (type: string, team = teamId) =>
  (await api.database.pool.query(`select id from inbox where type = $1 and team_id = $2`, [type, team])).rows
    .length;

test('a user’s e-mail and name change, and each team that they may pay for gets an event', async () => {
  const before = [await inbox('members.changed'), await inbox('members.changed', owner.teamId)];
  const change = () =>
    api.send('PATCH', '/v1/users/owner', { body: { email: 'new@example.com', name: 'New Name' } });
  for (let times = 0; times < 2; times += 1) {
    expect(await change()).toMatchObject({
      status: 200,
      json: { id: 'owner', email: 'new@example.com', name: 'New Name' },
    });
  }
  const after = [await inbox('members.changed'), await inbox('members.changed', owner.teamId)];
  expect(after.map((rows, index) => rows - (before[index] ?? 0))).toEqual([1, 1]);
});

test('a user cannot get another user’s e-mail, in upper or lower case, and an unknown user cannot be changed', async () => {
  expect(await api.send('PATCH', '/v1/users/owner', { body: { email: 'MEMBER@example.com' } })).toMatchObject(
    refusal(409, 'email_taken'),
  );
  expect(await api.send('PATCH', '/v1/users/nobody', { body: { name: 'x' } })).toMatchObject(
    refusal(404, 'unknown_user'),
  );
  expect(await api.send('PATCH', '/v1/users/owner', { body: {} })).toMatchObject({ status: 422 });
});

test('of two users who take one e-mail at the same time, the second is refused', async () => {
  const first = await api.database.pool.connect();
  try {
    await first.query('begin');
    await first.query(`update users set email = 'one@example.com' where id = 'owner'`);
    const second = api.send('PATCH', '/v1/users/member', { body: { email: 'ONE@example.com' } });
    await untilWaitingForLock(api.database.pool);
    await first.query('commit');
    expect(await second).toMatchObject(refusal(409, 'email_taken'));
  } finally {
    first.release(true);
  }
});

test('a user changes only their own name', async () => {
  const as = member.token;
  expect(await api.send('PATCH', '/v1/users/member', { as, body: { name: 'Me' } })).toMatchObject({
    status: 200,
  });
  for (const [id, body] of [
    ['member', { email: 'guest@example.com' }],
    ['owner', { name: 'Not me' }],
  ] as const) {
    expect(await api.send('PATCH', `/v1/users/${id}`, { as, body })).toMatchObject({ status: 403 });
  }
});

test('a team is renamed by its owner, not by a member, and an event updates its customer at Polar', async () => {
  const rename = (as: string, body: { name: string }, id = teamId) =>
    api.send('PATCH', `/v1/teams/${id}`, { as, body });
  expect(await rename(member.token, { name: 'Mine' })).toMatchObject({ status: 403 });
  expect(await rename(owner.token, { name: 'Spinners' })).toMatchObject({
    status: 200,
    json: { id: teamId, name: 'Spinners', personal: false },
  });
  expect(await inbox('team.renamed')).toBe(1);
  expect(await rename(owner.token, { name: 'Mine' }, owner.teamId)).toMatchObject(
    refusal(409, 'personal_team'),
  );
});

test('a team’s open holds are listed oldest first, and one hold is read only by its team', async () => {
  await api.give(teamId, '100');
  const ids: string[] = [];
  for (let made = 0; made < 3; made += 1) {
    const reply = await api.send('POST', `/v1/teams/${teamId}/holds`, {
      body: { action: 'workflow.run', credits: '10' },
    });
    ids.push(idOf(reply));
  }
  await api.send('POST', `/v1/holds/${ids[1]}/release`);
  const pages = (limit: number) =>
    Array.fromAsync(api.pages(`/v1/teams/${teamId}/holds?limit=${limit}`, member.token));
  expect(await pages(10)).toMatchObject([[{ id: ids[0] }, { id: ids[2] }]]);
  expect(await pages(1)).toMatchObject([[{ id: ids[0] }], [{ id: ids[2] }]]);

  const read = (as?: string) => api.send('GET', `/v1/holds/${ids[1]}`, as === undefined ? {} : { as });
  for (const reply of [await read(), await read(member.token)]) {
    expect(reply).toMatchObject({
      status: 200,
      json: { id: ids[1], teamId, status: 'released', credits: '10' },
    });
  }
  const stranger = await api.person('stranger');
  expect(await read(stranger.token)).toMatchObject(refusal(404, 'unknown_hold'));
  await api.database.pool.query(`update holds set expires_at = billing_now() where id = $1`, [ids[0]]);
  expect(await api.send('GET', `/v1/holds/${ids[0]}`)).toMatchObject({ json: { status: 'lapsed' } });
  expect(await pages(10)).toMatchObject([[{ id: ids[2] }]]);
});

test.each(['/v1/teams?limt=1', '/v1/catalog?a=1', `/v1/audit?team=x`, '/v1/invitations?__proto__=1'])(
  'an unknown query parameter is refused: %s',
  async (path) => {
    const as = path.includes('invitations') ? { as: member.token } : {};
    expect(await api.send('GET', path, as)).toMatchObject(refusal(400, 'invalid_parameters'));
  },
);
