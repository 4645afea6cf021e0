import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { createApp, routes } from '../../api/app.ts';
import { createHttpServer } from '../../api/http-server.ts';
import { listen } from '../setup/listen.ts';
import { useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();

const operation = z.looseObject({
  operationId: z.string(),
  responses: z.record(z.string(), z.unknown()),
  requestBody: z
    .looseObject({ content: z.record(z.string(), z.object({ schema: z.looseObject({}) })) })
    .optional(),
});
const document = z.looseObject({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), operation)),
});

test('the description lists every route, each with its answers and problems', async () => {
  const { status, json } = await api.sendRaw('GET', '/openapi.json', { as: null });
  expect(status).toBe(200);
  const { openapi, paths } = document.parse(json);
  expect(openapi).toBe('3.1.0');
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(described.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort());
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  for (const { responses } of operations) expect(responses).toHaveProperty('default');
  for (const { requestBody } of operations.filter(({ requestBody }) => requestBody)) {
    expect(requestBody?.content['application/json']?.schema).not.toEqual({});
  }
});

test('the docs are served from our own disk, with a policy that allows no other source', async () => {
  const page = await fetch(`${api.url}/docs`);
  expect(page.status).toBe(200);
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(/script-src 'self'; style-src 'self';/);
  expect(policy).not.toMatch(/unsafe/);
  const html = await page.text();
  const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file);
  expect(files.length).toBeGreaterThan(2);
  for (const file of files) {
    expect(file).toMatch(/^\/docs\//);
    expect((await fetch(api.url + file)).status).toBe(200);
  }
});

test('answers do not reveal the server software', async () => {
  const { headers } = await api.send('GET', '/v1/catalog', { as: null });
  expect(headers.has('x-powered-by')).toBe(false);
  expect(headers.has('etag')).toBe(false);
  expect(headers.get('x-content-type-options')).toBe('nosniff');
});

test('while Temporal is down the process is healthy and not ready', async () => {
  expect(await api.send('GET', '/healthz', { as: null })).toMatchObject({ status: 200 });
  expect(await api.sendRaw('GET', '/readyz', { as: null })).toMatchObject({
    status: 503,
    json: { status: 'not_ready', postgres: 'ok', temporal: 'unreachable' },
  });
});

test('metrics count requests by route and waiting inbox events', async () => {
  await api.person();
  const text = await (await fetch(`${api.operationsUrl}/metrics`)).text();
  expect(text).toMatch(
    /billing_http_request_seconds_count\{method="POST",route="\/v1\/users",status="201"\} 1/,
  );
  expect(text).toMatch(/billing_inbox_waiting\{status="received",code=""\} 1/);
});

test('metrics and readiness have their own port; in production the public port serves neither', async () => {
  const statusOf = async (url: string, path: string) => (await fetch(url + path)).status;
  expect(await statusOf(api.operationsUrl, '/metrics')).toBe(200);
  expect(await statusOf(api.operationsUrl, '/readyz')).toBe(503);
  expect(await statusOf(api.operationsUrl, '/v1/catalog')).toBe(404);
  for (const path of ['/metrics', '/METRICS/', '/metrics/']) expect(await statusOf(api.url, path)).toBe(404);

  const server = createHttpServer(createApp({ ...api.dependencies, production: true }));
  const url = await listen(server);
  for (const path of ['/metrics', '/METRICS/', '/readyz', '/READYZ', '/readyz/', '//readyz', '/%72eadyz/']) {
    expect({ path, status: await statusOf(url, path) }).toEqual({ path, status: 404 });
  }
  expect(await statusOf(url, '/healthz')).toBe(200);
  await new Promise((resolve) => server.close(resolve));
});

test.each([
  '/HEALTHZ',
  '/healthz/',
  '/V1/catalog',
  '/v1/Catalog',
  '/v1/catalog/',
  '/docs/',
  '/DOCS',
  '/openapi.json/',
])('%s is not a route', async (path) => {
  expect(await api.sendRaw('GET', path)).toMatchObject(refusal(404, 'unknown_route'));
});

test.each([
  'package.json',
  'index.html',
  'swagger-initializer.js',
  'swagger-ui.js',
  'swagger-ui.css.map',
  'README.md',
])('the docs do not serve %s of their package', async (file) => {
  expect((await fetch(`${api.url}/docs/${file}`)).status).toBe(404);
});

test('everyone can read the catalog', async () => {
  const { status, json } = await api.send('GET', '/v1/catalog', { as: null });
  expect(status).toBe(200);
  expect(json).toMatchObject({ trial: { credits: '500', lifetime: '30d' }, priceVersion: 1 });
});
