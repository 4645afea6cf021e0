import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { type RunningApi, startApi } from './running-api.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const idOf = ({ json }: { json: unknown }) => z.object({ id: z.string() }).parse(json).id;
const event = z.looseObject({
  actor: z.string(),
  action: z.string(),
  before: z.unknown(),
  after: z.unknown(),
});
const audit = async (query: string) => {
  const { json } = await api.send('GET', `/v1/audit?${query}`);
  return z.object({ data: z.array(event), nextCursor: z.string().nullable() }).parse(json);
};

test('every administrative action is recorded with who, before and after, and cannot be changed', async () => {
  const owner = await api.person('owner');
  const member = await api.person('member');
  const as = owner.token;
  const teamId = idOf(await api.send('POST', '/v1/teams', { as, body: { name: 'Weavers' } }));
  const path = `/v1/teams/${teamId}`;
  const invitation = idOf(
    await api.send('POST', `${path}/invitations`, {
      as,
      body: { email: 'member@example.com', role: 'member' },
    }),
  );
  await api.send('POST', `/v1/invitations/${invitation}/accept`, { as: member.token });
  await api.send('PUT', `${path}/members/member`, { as, body: { role: 'admin' } });
  await api.send('PUT', `${path}/limits/members/member`, { as, body: { credits: '5', per: 'month' } });
  await api.send('PUT', `${path}/limits/members/member`, { as, body: { credits: '7', per: 'day' } });
  await api.send('DELETE', `${path}/limits/members/member`, { as });
  await api.send('POST', `${path}/adjustments`, { body: { credits: '100', reason: 'an apology' } });
  await api.send('PATCH', path, { as, body: { name: 'Spinners' } });
  await api.send('DELETE', `${path}/members/member`, { as: member.token });
  await api.send('DELETE', path, { as });

  const { data } = await audit(`teamId=${teamId}&limit=100`);
  expect(data.map(({ actor, action, before, after }) => [actor, action, before, after]).reverse()).toEqual([
    ['person:owner', 'invitation.sent', null, { role: 'member', userId: null }],
    [
      'person:member',
      'invitation.accepted',
      { role: 'member', status: 'open' },
      { role: 'member', status: 'accepted' },
    ],
    ['person:member', 'member.added', null, { role: 'member' }],
    ['person:owner', 'member.changed', { role: 'member' }, { role: 'admin' }],
    ['person:owner', 'limit.set', null, { credits: '5', per: 'month' }],
    ['person:owner', 'limit.set', { credits: '5', per: 'month' }, { credits: '7', per: 'day' }],
    ['person:owner', 'limit.removed', { credits: '7', per: 'day' }, null],
    ['service:environment', 'credits.adjusted', null, { credits: '100', available: '100' }],
    ['person:owner', 'team.renamed', { name: 'Weavers' }, { name: 'Spinners' }],
    ['person:member', 'member.removed', { role: 'admin' }, null],
    ['person:owner', 'team.deleted', { name: 'Spinners', personal: false }, null],
  ]);
  expect(JSON.stringify(data)).not.toContain('example.com');
  await expect(api.database.pool.query('update audit_events set actor = $1', ['x'])).rejects.toThrow(
    'immutable',
  );
  await expect(api.database.pool.query('delete from audit_events')).rejects.toThrow('immutable');
});

test('the record is read page by page, by actor, and only with the scope admin', async () => {
  const first = await audit('actor=person:owner&limit=2');
  const rest = await audit(`actor=person:owner&limit=100&cursor=${first.nextCursor}`);
  expect(first.data).toHaveLength(2);
  expect([...first.data, ...rest.data].every(({ actor }) => actor === 'person:owner')).toBe(true);
  const { key } = await api.key('onboarding', 'billing', 'usage');
  expect(await api.send('GET', '/v1/audit', { as: key })).toMatchObject({ status: 403 });
});

test('a refused action leaves no record', async () => {
  const { token, teamId } = await api.person('alone');
  await api.send('DELETE', `/v1/teams/${teamId}/members/alone`, { as: token });
  await api.send('DELETE', `/v1/teams/${teamId}/limits/members/alone`, { as: token });
  await api.send('DELETE', `/v1/teams/${teamId}`, { as: token });
  expect((await audit(`teamId=${teamId}`)).data).toEqual([]);
});
