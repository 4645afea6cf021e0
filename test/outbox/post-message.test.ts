import http from 'node:http';
import https from 'node:https';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPostMessage } from '../../outbox/post-message.ts';
import { openSecret, sealSecret } from '../../outbox/seal-secret.ts';
import { listen } from '../setup/listen.ts';
import { loopbackCertificate } from './loopback-certificate.ts';

/** Answers by path. Counts requests and TLS handshakes. */
let requests: string[] = [];
let handshakes = 0;
const answer: http.RequestListener = (request, response) => {
  requests.push(request.url ?? '');
  if (request.url === '/moved') return void response.writeHead(302, { location: '/target' }).end();
  if (request.url !== '/endless') return void response.end('ok');
  const more = () =>
    void (response.destroyed || response.write('x'.repeat(16_384), () => setImmediate(more)));
  more();
};
const secure = https.createServer(loopbackCertificate, answer);
const plain = http.createServer(answer);
let secureUrl: string;
let plainUrl: string;
beforeAll(async () => {
  secure.on('secureConnection', () => {
    handshakes += 1;
  });
  plainUrl = await listen(plain);
  secureUrl = (await listen(secure)).replace('http://127.0.0.1', 'https://localhost');
});
afterAll(() => {
  for (const server of [secure, plain]) {
    server.closeAllConnections();
    server.close();
  }
});

const ca = loopbackCertificate.cert;
const guarded = createPostMessage({ allowPrivate: [], ca });
const allowed = createPostMessage({ allowPrivate: ['127.0.0.0/8', '::1'], ca });
const post = (send: typeof guarded, url: string) => send(url, {}, '{}');

test('a name that resolves to a private address is refused over TLS, before the handshake', async () => {
  requests = [];
  handshakes = 0;
  expect(await post(guarded, secureUrl)).toEqual({ error: expect.stringMatching(/not allowed/i) });
  expect({ requests, handshakes }).toEqual({ requests: [], handshakes: 0 });
  expect(await post(allowed, secureUrl)).toEqual({ status: 200 });
  expect({ requests, handshakes }).toEqual({ requests: ['/'], handshakes: 1 });
});

test.each([
  'https://127.0.0.1:1/',
  'https://10.0.0.1/',
  'https://192.168.1.1/',
  'https://172.16.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://0.0.0.0:1/',
  'https://100.64.0.1/',
  'https://[::1]:1/',
  'https://[fd00::1]/',
  'https://[fe80::1]/',
  'https://[::ffff:127.0.0.1]:1/',
  'https://[::ffff:169.254.169.254]/',
  'https://2130706433:1/',
  'http://127.0.0.1:1/',
])('the address of %s is refused', async (url) => {
  expect(await post(guarded, url)).toEqual({ error: expect.stringMatching(/not allowed/i) });
});

test('only the addresses that are named are allowed', async () => {
  expect(await post(createPostMessage({ allowPrivate: ['10.0.0.0/8'], ca }), secureUrl)).toEqual({
    error: expect.stringMatching(/not allowed/i),
  });
});

test('a certificate that no authority has signed is refused', async () => {
  const untrusting = createPostMessage({ allowPrivate: ['127.0.0.1', '::1'] });
  expect(await post(untrusting, secureUrl)).toEqual({ error: expect.stringMatching(/certificate/i) });
});

test('a redirect is an answer and is not followed', async () => {
  requests = [];
  expect(await post(allowed, `${plainUrl}/moved`)).toEqual({ status: 302 });
  expect(requests).toEqual(['/moved']);
});

test('an answer that does not end is cut', async () => {
  expect(await post(allowed, `${plainUrl}/endless`)).toEqual({ status: 200 });
});

test('a secret can be opened only with its key and for its endpoint', () => {
  const key = Buffer.alloc(32, 1);
  const sealed = sealSecret([key], 'one', 'whsec_abc');
  expect(sealed.includes('whsec_abc')).toBe(false);
  expect(openSecret([Buffer.alloc(32, 2), key], 'one', sealed)).toEqual({
    secret: 'whsec_abc',
    isNewest: false,
  });
  expect(() => openSecret([key], 'other', sealed)).toThrow();
  expect(() => openSecret([Buffer.alloc(32, 2)], 'one', sealed)).toThrow();
  expect(sealSecret([key], 'one', 'whsec_abc').equals(sealed)).toBe(false);
});
