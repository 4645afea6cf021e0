import { randomUUID } from 'node:crypto';
import { request as sendRequest } from 'node:http';
import { beforeAll, expect, test } from '@jest/globals';
import { revokeServiceKey } from '../../teams/service-keys.ts';
import { untilWaitingForLock } from '../setup/lock-waits.ts';
import { type Person, personToken, useApi } from './running-api.ts';

const api = useApi();
let owner: Person;
let teamId: string;
beforeAll(async () => {
  owner = await api.person('owner');
  await api.person('admin');
  teamId = await api.team(owner);
});

/** Sends the head of a request and half of its body; `finish` sends the rest and returns the answer's status. */
async function begin(method: string, path: string, token: string, body: object) {
  const text = JSON.stringify(body);
  const request = sendRequest(api.url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'idempotency-key': randomUUID(),
    },
  });
  const answered = new Promise<number>((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
  await new Promise<void>((resolve) => request.write(text.slice(0, 5), () => resolve()));
  // After an answer to another request, this one has arrived as well.
  await api.send('GET', `/v1/teams/${teamId}`);
  return (): Promise<number> => {
    request.end(text.slice(5));
    return answered;
  };
}

test('a removed admin with an open request cannot become admin again', async () => {
  await api.send('PUT', `/v1/teams/${teamId}/members/admin`, { body: { role: 'admin' } });
  const token = await personToken('admin');
  const finish = await begin('PUT', `/v1/teams/${teamId}/members/admin`, token, { role: 'admin' });
  await api.send('DELETE', `/v1/teams/${teamId}/members/admin`, { as: owner.token });
  expect(await finish()).toBe(404);
  const { rows } = await api.database.pool.query(
    `select role from members where team_id = $1 and user_id = 'admin'`,
    [teamId],
  );
  expect(rows).toEqual([]);
});

test('a service key revoked during its request gives no credits', async () => {
  const { id, key } = await api.key('admin');
  const finish = await begin('POST', `/v1/teams/${teamId}/adjustments`, key, { credits: '100', reason: 'x' });
  await api.database.transaction((em) => revokeServiceKey(em, { id, actor: 'operator:test' }));
  expect(await finish()).toBe(401);
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({ json: { available: '0' } });
});

test('a token that expired during its request sets no limit', async () => {
  const token = await personToken('owner', new Date(Date.now() + 1_500));
  const path = `/v1/teams/${teamId}/limits/members/owner`;
  const finish = await begin('PUT', path, token, { credits: '1', per: 'month' });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await finish()).toBe(401);
  expect(await api.send('GET', `/v1/teams/${teamId}/limits`)).toMatchObject({ json: { data: [] } });
});

test('a role that is lost while a request waits for the team’s lock no longer counts', async () => {
  await api.send('PUT', `/v1/teams/${teamId}/members/admin`, { body: { role: 'admin' } });
  const as = await personToken('admin');
  const client = await api.database.pool.connect();
  try {
    await client.query('begin');
    await client.query('select 1 from teams where id = $1 for no key update', [teamId]);
    const waiting = [
      api.send('PUT', `/v1/teams/${teamId}/limits/members/owner`, {
        as,
        body: { credits: '1', per: 'month' },
      }),
      api.send('DELETE', `/v1/teams/${teamId}/limits/members/owner`, { as }),
      api.send('PUT', `/v1/teams/${teamId}/members/admin`, { as, body: { role: 'admin' } }),
      api.send('POST', `/v1/teams/${teamId}/invitations`, { as, body: { userId: 'x', role: 'admin' } }),
    ];
    // At most three changes of a team run at once: the fourth waits for its turn.
    await untilWaitingForLock(api.database.pool, 3);
    await client.query(`update members set role = 'member' where team_id = $1 and user_id = 'admin'`, [
      teamId,
    ]);
    await client.query('commit');
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([403, 403, 403, 403]);
  } finally {
    client.release();
  }
});
