import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { createAuthenticate } from '../../api/authenticate.ts';
import { jwtSecret, useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();

const issued = z.looseObject({ id: z.guid(), key: z.string() });

async function create(body: object = {}) {
  const reply = await api.send('POST', '/v1/service-keys', {
    body: { name: 'metering', scopes: ['usage'], ...body },
  });
  expect(reply.status).toBe(201);
  return issued.parse(reply.json);
}

/** Whether a process without a cache accepts the secret. */
async function isValid(key: string): Promise<boolean> {
  const authenticate = createAuthenticate({
    database: api.database,
    auth: { jwtSecret },
    serviceApiKey: undefined,
  });
  return authenticate(`Bearer ${key}`).then(
    () => true,
    () => false,
  );
}

async function find(id: string) {
  const { json } = await api.send('GET', '/v1/service-keys?limit=100');
  return z
    .object({ data: z.array(z.looseObject({ id: z.string() })) })
    .parse(json)
    .data.find((key) => key.id === id);
}

test('a service key shows its secret once, works with its scopes and is listed without the secret', async () => {
  const { id, key } = await create();
  const { teamId } = await api.person();
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`, { as: key })).toMatchObject({ status: 200 });
  expect(await api.send('GET', '/v1/service-keys', { as: key })).toMatchObject({ status: 403 });
  const listed = await find(id);
  expect(listed).toMatchObject({ name: 'metering', scopes: ['usage'], revokedAt: null, expiresAt: null });
  expect(JSON.stringify(listed)).not.toContain(key);
  expect(await api.dependencies.authenticate(`Bearer ${key}`)).toEqual({
    kind: 'service',
    keyId: id,
    scopes: ['usage'],
  });
});

test('a retry of a creation does not create a second key and does not show the secret, which is stored nowhere', async () => {
  const request = { body: { name: 'retried', scopes: ['usage' as const] }, key: 'create-once' };
  const first = await api.send('POST', '/v1/service-keys', request);
  const { id } = issued.parse(first.json);
  expect(await api.send('POST', '/v1/service-keys', request)).toMatchObject(
    refusal(409, 'secret_already_shown', { id }),
  );
  const { rows } = await api.database.pool.query(
    `select count(*)::int as count from service_keys where name = 'retried'`,
  );
  expect(rows).toEqual([{ count: 1 }]);
  const { rows: recorded } = await api.database.pool.query(
    `select response from idempotency_keys where key = 'create-once'`,
  );
  expect(recorded).toEqual([{ response: { id } }]);
});

test('after a rotation both secrets are valid, and the previous one only for the given time', async () => {
  const first = await create();
  const rotate = async (previousValidSeconds: number) => {
    const reply = await api.send('POST', `/v1/service-keys/${first.id}/rotate`, {
      body: { previousValidSeconds },
    });
    expect(reply).toMatchObject({ status: 201, json: { id: first.id } });
    return issued.parse(reply.json);
  };
  const second = await rotate(600);
  expect([await isValid(first.key), await isValid(second.key)]).toEqual([true, true]);
  const third = await rotate(600);
  expect([await isValid(first.key), await isValid(second.key), await isValid(third.key)]).toEqual([
    false,
    true,
    true,
  ]);
  const fourth = await rotate(0);
  expect([await isValid(third.key), await isValid(fourth.key)]).toEqual([false, true]);
});

test('an expired key is refused, and an expiry in the past cannot be set', async () => {
  const { id, key } = await create({ expiresAt: '2100-01-01T00:00:00Z' });
  expect(await isValid(key)).toBe(true);
  await api.database.pool.query(`update service_keys set expires_at = now() where id = $1`, [id]);
  expect(await isValid(key)).toBe(false);
  expect(await api.send('POST', `/v1/service-keys/${id}/rotate`, { body: {} })).toMatchObject(
    refusal(404, 'unknown_service_key'),
  );
  expect(
    await api.send('POST', '/v1/service-keys', {
      body: { name: 'late', scopes: ['usage'], expiresAt: '2020-01-01T00:00:00Z' },
    }),
  ).toMatchObject(refusal(422, 'expires_in_the_past'));
});

test('a revoked key is refused with all its secrets, and cannot be revoked again', async () => {
  const first = await create();
  const { json } = await api.send('POST', `/v1/service-keys/${first.id}/rotate`, { body: {} });
  const second = issued.parse(json);
  expect(await api.send('DELETE', `/v1/service-keys/${first.id}`)).toMatchObject({ status: 204 });
  expect([await isValid(first.key), await isValid(second.key)]).toEqual([false, false]);
  expect(await api.send('DELETE', `/v1/service-keys/${first.id}`)).toMatchObject(
    refusal(404, 'unknown_service_key'),
  );
});

test('the last use is recorded at most once a minute, also while the key’s row is locked', async () => {
  const { id, key } = await create();
  const version = async () => {
    const { rows } = await api.database.pool.query(
      'select xmin::text, last_used_at from service_keys where id = $1',
      [id],
    );
    return rows[0];
  };
  const lock = await api.database.pool.connect();
  await lock.query('begin');
  await lock.query('select from service_keys where id = $1 for share', [id]);
  expect(await isValid(key)).toBe(true); // it does not wait
  await lock.query('rollback');
  lock.release();
  expect(await version()).toMatchObject({ last_used_at: null });

  await isValid(key);
  const used = await version();
  expect(Date.parse(used.last_used_at)).toBeGreaterThan(0);
  await isValid(key);
  expect(await version()).toEqual(used);
  await api.database.pool.query(
    `update service_keys set last_used_at = now() - interval '61 seconds' where id = $1`,
    [id],
  );
  await isValid(key);
  expect(Date.parse((await version()).last_used_at)).toBeGreaterThanOrEqual(Date.parse(used.last_used_at));
});

test('the creation, rotation and revocation of a key are in the audit log, with who did it', async () => {
  const admin = await create({ name: 'operators', scopes: ['admin'] });
  const by = { as: admin.key };
  const { json } = await api.send('POST', '/v1/service-keys', {
    ...by,
    body: { name: 'audited', scopes: ['billing'] },
  });
  const { id } = issued.parse(json);
  await api.send('POST', `/v1/service-keys/${id}/rotate`, { ...by, body: {} });
  await api.send('DELETE', `/v1/service-keys/${id}`, by);
  const audit = await api.send('GET', `/v1/audit?actor=service:${admin.id}`);
  expect(audit.json).toMatchObject({
    data: [
      { action: 'service_key.revoked', subject: `service:${id}` },
      { action: 'service_key.rotated', subject: `service:${id}` },
      { action: 'service_key.created', subject: `service:${id}`, after: { name: 'audited' } },
    ],
  });
});
