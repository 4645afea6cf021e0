import { get, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { routes } from '../../api/app.ts';
import { firstKey, useApi } from './running-api.ts';

const api = useApi();

/** As `fetch`, which would hide the encoding. */
async function read(path: string, headers: Record<string, string> = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const all = { authorization: `Bearer ${firstKey}`, 'accept-encoding': 'gzip', ...headers };
    get(api.url + path, { headers: all }, resolve).on('error', reject);
  });
  return { headers: response.headers, body: await buffer(response) };
}

test('a long JSON answer is compressed for a client that accepts it', async () => {
  const plain = await read('/v1/catalog', { 'accept-encoding': 'identity' });
  expect(plain.headers['content-encoding']).toBeUndefined();
  const compressed = await read('/v1/catalog');
  expect(compressed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
  expect(compressed.body.length).toBeLessThan(plain.body.length / 2);
  expect(gunzipSync(compressed.body)).toEqual(plain.body);
  expect((await read('/openapi.json')).headers['content-encoding']).toBe('gzip');
});

test('the usage events as CSV are compressed while they are sent', async () => {
  const { teamId } = await api.person();
  const { headers, body } = await read(`/v1/teams/${teamId}/usage/events`, { accept: 'text/csv' });
  expect(headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(body).toString()).toMatch(/^id,.*tags\r\n$/);
});

test('a short answer, an error and an answer with a secret are not compressed', async () => {
  expect((await read('/healthz')).headers['content-encoding']).toBeUndefined();
  const long = 'x'.repeat(4_000);
  expect((await read(`/v1/unknown-${long}`)).headers['content-encoding']).toBeUndefined();
  // The URL of an endpoint may contain a secret of its receiver.
  const created = await api.send('POST', '/v1/webhook-endpoints', {
    body: { url: `https://example.com/hooks?${'x'.repeat(1_200)}` },
  });
  expect(created.status).toBe(201);
  const { headers, body } = await read('/v1/webhook-endpoints');
  expect(body.length).toBeGreaterThan(1_200);
  expect(headers['content-encoding']).toBeUndefined();
});

test('each GET route whose answer has a link or a secret says so', () => {
  const saying = routes.filter(({ answersWithSecret }) => answersWithSecret);
  const withSecret = routes.filter(({ method, answers }) => {
    const schemas = Object.values(answers).flatMap((schema) => (schema ? [z.toJSONSchema(schema)] : []));
    return method === 'get' && /"(url|secret|token)":\{/.test(JSON.stringify(schemas));
  });
  expect(withSecret.map(({ path }) => path)).toEqual(saying.map(({ path }) => path));
});
