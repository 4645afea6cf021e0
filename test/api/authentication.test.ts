import { createServer, type ServerResponse } from 'node:http';
import { beforeAll, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { createAuthenticate } from '../../api/authenticate.ts';
import { revokeServiceKey } from '../../teams/service-keys.ts';
import { listen } from '../setup/listen.ts';
import { firstKey, jwtSecret, personToken, useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();
let teamId: string;
beforeAll(async () => {
  ({ teamId } = await api.person('ada'));
});

const hmac = new TextEncoder().encode(jwtSecret);
const jwt = (payload: Record<string, unknown>, secret = hmac) =>
  new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(secret);
const inFiveMinutes = Math.floor(Date.now() / 1_000) + 300;

test.each<[string, () => Promise<string | null>]>([
  ['no token', async () => null],
  ['garbage', async () => 'garbage'],
  ['a key that differs in its last character', async () => `${firstKey.slice(0, -1)}x`],
  [
    'a JWT with the algorithm none',
    async () => new UnsecuredJWT({ sub: 'ada', exp: inFiveMinutes }).encode(),
  ],
  ['an expired JWT', () => personToken('ada', new Date(Date.now() - 1_000))],
  ['a JWT that never expires', () => jwt({ sub: 'ada' })],
  ['a JWT of nobody', () => jwt({ exp: inFiveMinutes })],
  ['a JWT whose sub is no user id', () => jwt({ sub: 'a b', exp: inFiveMinutes })],
  ['a JWT that is not valid yet', () => jwt({ sub: 'ada', exp: inFiveMinutes, nbf: inFiveMinutes - 100 })],
  [
    'a JWT signed by another',
    () => jwt({ sub: 'ada', exp: inFiveMinutes }, new TextEncoder().encode('x'.repeat(40))),
  ],
  [
    'a JWT with a changed payload',
    async () => (await personToken('ada')).replace(/\.[^.]+\./, '.eyJzdWIiOiJldmUifQ.'),
  ],
])('%s is 401 and says what to send', async (_, token) => {
  const reply = await api.send('GET', `/v1/teams/${teamId}`, { as: await token() });
  expect(reply).toMatchObject(refusal(401, 'unauthenticated', { status: 401 }));
  expect(reply.headers.get('www-authenticate')).toMatch(/^Bearer/);
  expect(reply.headers.get('content-type')).toMatch(/^application\/problem\+json/);
});

const now = () => Math.floor(Date.now() / 1_000);
test.each([
  ['expires more than a day after its issue', { iat: now() - 60, exp: now() + 86_400 }, 'expires_too_late'],
  [
    'expires in a year and does not say when it was issued',
    { exp: now() + 365 * 86_400 },
    'expires_too_late',
  ],
  ['was issued in the future', { iat: now() + 3_600, exp: now() + 7_200 }, 'issued_in_the_future'],
  ['was issued at no time', { iat: 'today', exp: now() + 60 }, 'wrong_iat'],
])('a token that %s is refused with its reason', async (_, times, reason) => {
  const reply = await api.send('GET', '/v1/teams', { as: await jwt({ sub: 'ada', ...times }) });
  expect(reply).toMatchObject(refusal(401, 'unauthenticated', { reason }));
});

test('a token for another audience or of another issuer is refused if these are set', async () => {
  const authenticate = createAuthenticate({
    database: api.database,
    auth: { jwtSecret, audience: 'billing', issuer: 'https://login.example.com' },
    serviceApiKey: undefined,
  });
  const ask = async (given: object) =>
    authenticate(`Bearer ${await jwt({ sub: 'ada', exp: inFiveMinutes, ...given })}`);
  const right = { aud: ['other', 'billing'], iss: 'https://login.example.com' };
  expect(await ask(right)).toMatchObject({ kind: 'person', userId: 'ada' });
  for (const [wrong, reason] of [
    [{ ...right, aud: 'other' }, 'wrong_aud'],
    [{ iss: right.iss }, 'wrong_aud'],
    [{ ...right, iss: 'https://login.example.com.evil' }, 'wrong_iss'],
    [{ aud: 'billing' }, 'wrong_iss'],
  ] as const) {
    await expect(ask(wrong)).rejects.toMatchObject({ code: 'unauthenticated', details: { reason } });
  }
});

test('a user’s own valid token is accepted', async () => {
  expect((await api.send('GET', `/v1/teams/${teamId}`, { as: await personToken('ada') })).status).toBe(200);
});

test('if the identity provider returns no keys, no token is called wrong', async () => {
  let answer: (response: ServerResponse) => void = () => {};
  const provider = createServer((_request, response) => answer(response));
  const jwksUrl = await listen(provider);
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const token = await new SignJWT({ sub: 'ada', exp: inFiveMinutes })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(privateKey);
  const ask = () =>
    createAuthenticate({ database: api.database, auth: { jwksUrl }, serviceApiKey: undefined })(
      `Bearer ${token}`,
    );
  const json = (body: unknown) => (response: ServerResponse) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  const unavailable = { code: 'identity_provider_unavailable' };
  try {
    for (const failing of [
      (response: ServerResponse) => response.writeHead(500).end('down'),
      (response: ServerResponse) => response.end('<html>'),
      (response: ServerResponse) => response.destroy(),
      json({ keys: 'none' }),
    ]) {
      answer = failing;
      await expect(ask()).rejects.toMatchObject(unavailable);
    }
    answer = json({ keys: [await exportJWK(publicKey)] });
    expect(await ask()).toMatchObject({ kind: 'person', userId: 'ada' });
    answer = json({ keys: [await exportJWK((await generateKeyPair('ES256')).publicKey)] });
    await expect(ask()).rejects.toMatchObject({ code: 'unauthenticated' });
  } finally {
    provider.close();
  }
});

test.each([
  ['onboarding', 'POST', '/v1/users', { id: 'x', email: 'x@example.com', name: 'x' }],
  ['usage', 'POST', `/v1/teams/TEAM/usage`, { action: 'workflow.run', quantities: { runs: 1 } }],
  ['usage', 'POST', '/v1/usage/batch', { events: [{}] }],
  ['billing', 'POST', '/v1/teams/TEAM/portal', undefined],
  ['admin', 'GET', '/v1/inbox', undefined],
] as const)('the scope %s opens %s %s, and no other does', async (scope, method, path, body) => {
  const call = (as: string) =>
    api.sendRaw(method, path.replace('TEAM', teamId), { as, ...(body === undefined ? {} : { body }) });
  const { key } = await api.key(scope);
  expect((await call(key)).status).not.toBe(403);
  for (const other of (['onboarding', 'usage', 'billing', 'admin'] as const).filter((one) => one !== scope)) {
    const reply = await call((await api.key(other)).key);
    expect(reply).toMatchObject(refusal(403, 'forbidden', { allowedScopes: [scope] }));
  }
});

const revoke = (id: string) =>
  api.database.transaction((em) => revokeServiceKey(em, { id, actor: 'operator:test' }));

test('a revoked key is refused within seconds, and at once if it was not just used', async () => {
  const { id, key } = await api.key('usage');
  await revoke(id);
  expect((await api.send('GET', `/v1/teams/${teamId}/balance`, { as: key })).status).toBe(401);

  const used = await api.key('usage');
  expect((await api.send('GET', `/v1/teams/${teamId}/balance`, { as: used.key })).status).toBe(200);
  await revoke(used.id);
  let status = 200;
  for (let tries = 0; status !== 401 && tries < 50; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    ({ status } = await api.send('GET', `/v1/teams/${teamId}/balance`, { as: used.key }));
  }
  expect(status).toBe(401);
});
