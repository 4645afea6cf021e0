import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();

const path = '/v1/webhook-endpoints';
const url = 'https://example.com/hook';
const created = z.object({ id: z.string(), secret: z.string().startsWith('whsec_') });

test('an endpoint is created with a secret, once per key, and the stored secret is encrypted', async () => {
  const made = await api.send('POST', path, { body: { url }, key: 'first' });
  expect(made).toMatchObject({ status: 201, json: { url, teamId: null, enabled: true } });
  const { id, secret } = created.parse(made.json);
  expect((await api.send('POST', path, { body: { url }, key: 'first' })).json).toEqual(made.json);
  const { rows } = await api.database.pool.query<{ text: string }>(
    `select (select secret::text from webhook_endpoints where id = $1) || (select string_agg(response::text, '') from idempotency_keys) as text`,
    [id],
  );
  const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64');
  for (const form of [secret, bytes.toString('hex'), Buffer.from(secret).toString('hex')])
    expect(rows[0]?.text).not.toContain(form);
  expect(await api.send('GET', `${path}/${id}`)).toMatchObject({ status: 200, json: { id, url } });
  expect(JSON.stringify((await api.send('GET', path)).json)).not.toContain('whsec_');
});

test('the messages of an endpoint are listed, replayed and follow its changes', async () => {
  const { teamId } = await api.person();
  const { id } = created.parse((await api.send('POST', path, { body: { url, teamId } })).json);
  await api.give(teamId, '10');
  const deliveries = (query = '') => api.send('GET', `${path}/${id}/deliveries${query}`);
  const pending = { type: 'credits.granted', teamId, status: 'pending', attempts: 0 };
  expect(await deliveries('?status=pending&limit=1')).toMatchObject({
    status: 200,
    json: { data: [pending], nextCursor: null },
  });
  const { data } = z
    .object({ data: z.array(z.object({ messageId: z.string() })) })
    .parse((await deliveries()).json);
  const [message] = data;
  const replay = (body: object) => api.send('POST', `${path}/${id}/replay`, { body });
  expect(await replay({ messageId: message?.messageId })).toMatchObject({
    status: 202,
    json: { messages: 1 },
  });
  expect(await replay({ since: '2026-01-01T00:00:00Z' })).toMatchObject({ json: { messages: 0 } });
  expect(await replay({})).toMatchObject({ status: 422 });
  expect(await deliveries('?cursor=x')).toMatchObject(refusal(400, 'invalid_cursor'));

  const rotated = await api.send('POST', `${path}/${id}/rotate`);
  expect(created.omit({ id: true }).parse(rotated.json).secret).toMatch(/^whsec_/);
  const change = (body: object) => api.send('PATCH', `${path}/${id}`, { body });
  expect(await change({ enabled: false })).toMatchObject({
    json: { enabled: false, disabledReason: 'operator' },
  });
  expect(await change({ enabled: true, url: `${url}2` })).toMatchObject({
    json: { enabled: true, url: `${url}2` },
  });
  expect(await api.send('DELETE', `${path}/${id}`)).toMatchObject({ status: 204 });
  expect(await api.send('GET', `${path}/${id}`)).toMatchObject(refusal(404, 'unknown_webhook_endpoint'));
  const { rows } = await api.database.pool.query(
    'select action from audit_events where subject = $1 order by at, id',
    [id],
  );
  expect(rows.map(({ action }) => action)).toEqual([
    'webhook_endpoint.created',
    'webhook_endpoint.replayed',
    'webhook_endpoint.replayed',
    'webhook_endpoint.secret_rotated',
    'webhook_endpoint.changed',
    'webhook_endpoint.changed',
    'webhook_endpoint.deleted',
  ]);
});

test('only https and http URLs without credentials are accepted', async () => {
  for (const wrong of [
    'ftp://example.com',
    'https://u:p@example.com/',
    'example.com',
    'file:///etc/passwd',
    '',
  ])
    expect([wrong, (await api.send('POST', path, { body: { url: wrong } })).status]).toEqual([wrong, 422]);
});
