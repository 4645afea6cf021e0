import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { revokeServiceKey } from '../../teams/service-keys.ts';
import { useApi } from './running-api.ts';
import { idOf } from './send.ts';

const api = useApi();

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
    ['person:owner', 'team.created', null, { ownerId: 'owner', personal: false }],
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
  const made = {
    actor: 'service:environment',
    action: 'team.created',
    after: { ownerId: 'alone', personal: true },
  };
  expect((await audit(`teamId=${teamId}`)).data).toMatchObject([made]);
});

test('a service key is recorded with who created it and who revoked it, without its secret', async () => {
  const { id, key } = await api.key('usage', 'billing');
  await api.database.transaction((em) => revokeServiceKey(em, { id, actor: 'operator:olga' }));
  const acts = [...(await audit('actor=operator:test')).data, ...(await audit('actor=operator:olga')).data];
  const ofKey = acts.filter(({ subject }) => subject === `service:${id}`);
  expect(ofKey).toMatchObject([
    { action: 'service_key.created', after: { scopes: ['usage', 'billing'] } },
    { action: 'service_key.revoked', actor: 'operator:olga' },
  ]);
  expect(JSON.stringify(ofKey)).not.toContain(key);
});

test('an erasure records the removed role in every team', async () => {
  const owner = await api.person('stays');
  await api.person('goes');
  const { token: as } = owner;
  const teamId = idOf(await api.send('POST', '/v1/teams', { as, body: { name: 'Left' } }));
  await api.send('PUT', `/v1/teams/${teamId}/members/goes`, { body: { role: 'billing' } });
  expect(await api.send('DELETE', '/v1/users/goes')).toMatchObject({ status: 202 });
  expect((await audit(`teamId=${teamId}`)).data[0]).toMatchObject({
    actor: 'service:environment',
    action: 'member.removed',
    subject: 'goes',
    before: { role: 'billing' },
  });
});

test('each decision of an operator about an event is recorded, with its reason', async () => {
  const { teamId } = await api.person('payer');
  const { id: keyId, key: as } = await api.key('admin');
  const park = async (code: string) => {
    const { rows } = await api.database.pool.query<{ id: string }>(
      `insert into inbox (id, team_id, source, type, payload, occurred_at, received_at, status, parked_code)
       values (uuidv7(), $1, 'polar', 'order.paid', '{}', billing_now(), billing_now(), 'parked', $2) returning id`,
      [teamId, code],
    );
    return rows[0]?.id ?? '';
  };
  const unknown = await park('unknown_product');
  const large = await park('needs_approval');
  const send = (id: string, verb: string, body?: object) =>
    api.send('POST', `/v1/inbox/${id}/${verb}`, { as, ...(body ? { body } : {}) });
  await send(unknown, 'retry');
  await send(unknown, 'assign', { product: 'pack_1000', reason: 'sold by hand' });
  await send(large, 'approve');
  await send(await park('unknown_team'), 'dismiss', { reason: 'not ours' });
  await send(await park('handled'), 'approve'); // refused: it does not wait for an approval

  const { data } = await audit(`actor=service:${keyId}&limit=100`);
  expect(data.reverse()).toMatchObject([
    { action: 'event.retried', teamId, subject: unknown },
    {
      action: 'event.assigned',
      reason: 'sold by hand',
      before: { type: 'order.paid', parkedCode: 'unknown_product', product: null },
      after: { teamId, product: 'pack_1000' },
    },
    { action: 'event.approved', subject: large, before: { parkedCode: 'needs_approval' } },
    { action: 'event.dismissed', reason: 'not ours' },
  ]);
});
