import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApp } from '../../api/app.ts';
import { createHttpServer } from '../../api/http-server.ts';
import { listen, stopServer } from '../setup/listen.ts';
import { type RunningApi, startApi } from './running-api.ts';

const script = `console.log(${JSON.stringify('a page '.repeat(100))});`;
const servers: Server[] = [];
let directory: string;
let api: RunningApi;
/** The URL of an API with a page, which a dashboard may embed. */
let url: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'waveloom-page-'));
  mkdirSync(join(directory, 'assets'));
  writeFileSync(
    join(directory, 'index.html'),
    '<!doctype html><meta property="csp-nonce" nonce="__CSP_NONCE__"><style nonce="__CSP_NONCE__"></style>',
  );
  writeFileSync(join(directory, 'assets/index-Ab12.js'), script);
  writeFileSync(join(directory, 'assets/index-Ab12.js.br'), brotliCompressSync(script));
  writeFileSync(join(directory, 'assets/index-Ab12.js.gz'), gzipSync(script));
  writeFileSync(join(directory, 'assets/.env'), 'SECRET=1');
  mkdirSync(join(directory, 'guides'));
  for (const name of ['index', 'credit-system'])
    writeFileSync(join(directory, `guides/${name}.html`), `<!doctype html><h1>${name}</h1>`);
  writeFileSync(join(directory, 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  api = await startApi();
  url = await serve({ directory, dashboardOrigin: 'https://app.example.com' });
});
afterAll(async () => {
  for (const server of servers) {
    await stopServer(server);
  }
  await api.stop();
  rmSync(directory, { recursive: true });
});

async function serve(page: { directory: string; dashboardOrigin: string | undefined }): Promise<string> {
  const server = createHttpServer(createApp({ ...api.dependencies, page }));
  servers.push(server);
  return listen(server);
}

async function load(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, { headers, redirect: 'manual' });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test.each([
  '/',
  '/teams/0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70/billing',
  '/teams/0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70/billing?checkout=1',
  '/teams/0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70/usage/runs/run-1',
])('%s answers the page, which is never stored', async (path) => {
  const { status, headers, text } = await load(path);
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(text).toContain('<!doctype html>');
});

test('each answer has its own nonce for styles, and nothing else may be inline', async () => {
  const nonces = new Set<string>();
  for (let answers = 0; answers < 3; answers += 1) {
    const { headers, text } = await load('/');
    const policy = headers.get('content-security-policy') ?? '';
    const nonce = /style-src 'self' 'nonce-([\w+/=]{24})'/.exec(policy)?.[1] ?? '';
    nonces.add(nonce);
    expect(text.match(/nonce="([^"]+)"/g)).toEqual([`nonce="${nonce}"`, `nonce="${nonce}"`]);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("connect-src 'self';");
    expect(policy).not.toMatch(/unsafe|\*/);
  }
  expect(nonces.size).toBe(3);
});

test.each([
  ['/guides', 'index'],
  ['/guides/credit-system', 'credit-system'],
])('%s answers a guide under the policy of the page', async (path, title) => {
  const { status, headers, text } = await load(path);
  expect({ status, text }).toEqual({ status: 200, text: `<!doctype html><h1>${title}</h1>` });
  const policyOf = (policy: string | null) => policy?.replace(/nonce-[^']+/, 'nonce');
  const page = await load('/');
  expect(policyOf(headers.get('content-security-policy'))).toBe(
    policyOf(page.headers.get('content-security-policy')),
  );
});

test('only the dashboard’s origin may embed the page, and nobody if none is set', async () => {
  const { headers } = await load('/');
  expect(headers.get('content-security-policy')).toContain('frame-ancestors https://app.example.com');
  expect(headers.get('x-frame-options')).toBeNull();

  const alone = await fetch(await serve({ directory, dashboardOrigin: undefined }));
  expect(alone.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
});

test.each([
  ['br', 'br, gzip'],
  ['gzip', 'gzip, deflate'],
  [null, 'identity'],
])(
  'a hashed file is sent as %s to a browser that accepts %s, and is kept for good',
  async (encoding, accept) => {
    const { status, headers, text } = await load('/assets/index-Ab12.js', { 'accept-encoding': accept });
    expect(status).toBe(200);
    expect(headers.get('content-encoding')).toBe(encoding);
    expect(headers.get('content-type')).toMatch(/^text\/javascript/);
    expect(headers.get('vary')).toMatch(/accept-encoding/i);
    expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(text).toBe(script);
  },
);

test('a file whose name has no hash is checked again by the browser', async () => {
  const { headers } = await load('/favicon.svg');
  expect(headers.get('content-type')).toBe('image/svg+xml');
  expect(headers.get('cache-control')).toBe('public, max-age=0');
});

test.each([
  '/index.html',
  '/guides/',
  '/guides/nothing',
  '/guides/credit-system.html',
  '/guides/..%2findex',
  '/assets/',
  '/assets/none-Ab12.js',
  '/assets/.env',
  '/assets/..%2findex.html',
  '/assets/%2e%2e/%2e%2e/package.json',
  '/team',
  '/v1/nothing',
])('%s is not served', async (path) => {
  const { status, text } = await load(path);
  expect({ path, status }).toEqual({ path, status: 404 });
  expect(text).not.toContain('doctype');
});

test('the paths of the API do not show the page', async () => {
  for (const path of ['/openapi.json', '/docs', '/v1/catalog', '/healthz']) {
    const { status, text } = await load(path);
    expect({ path, status, page: text.includes('CSP_NONCE') || text.includes('csp-nonce') }).toEqual({
      path,
      status: 200,
      page: false,
    });
  }
});

test('without a built page one line says how to build it', async () => {
  const response = await fetch(await serve({ directory: '/nowhere', dashboardOrigin: undefined }));
  expect(response.status).toBe(404);
  expect(await response.text()).toMatch(/^The page is not built: .*\n$/);
});
