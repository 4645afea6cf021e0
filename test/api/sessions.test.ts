import { beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { createApp, routes } from '../../api/app.ts';
import { createAuthenticate } from '../../api/authenticate.ts';
import { isOwnAddress } from '../../api/demand-this-machine.ts';
import { createHttpServer } from '../../api/http-server.ts';
import { createSession } from '../../teams/sessions.ts';
import { listen, stopServer } from '../setup/listen.ts';
import { firstKey, jwtSecret, type Person, personToken, useApi } from './running-api.ts';
import { type Reply, refusal } from './send.ts';
import { statusAt } from './status-at.ts';

const api = useApi();
let ada: Person;
beforeAll(async () => {
  ada = await api.person('ada');
});

const cookieName = '__Host-waveloom_session';
const fromOurPage = { 'sec-fetch-site': 'same-origin' };

/** Exchanges a token; returns the cookie as a browser sends it back. */
async function signIn(token: string): Promise<{ cookie: string; reply: Reply }> {
  const reply = await api.send('POST', '/session', { as: token });
  expect(reply.status).toBe(201);
  return { cookie: (reply.headers.get('set-cookie') ?? '').split(';')[0] ?? '', reply };
}

const withCookie = (method: string, path: string, cookie: string, headers: object = {}) =>
  api.sendRaw(method, path, { as: null, headers: { cookie, ...headers } });

/** Whether a process without a cache accepts the cookie. */
async function isValid(cookie: string): Promise<boolean> {
  const authenticate = createAuthenticate({
    database: api.database,
    auth: { jwtSecret },
    serviceApiKey: undefined,
  });
  const session = cookie.slice(cookieName.length + 1);
  return authenticate(undefined, { session }).then(
    () => true,
    () => false,
  );
}

test('a token is exchanged for a cookie that only the browser can read, valid for an hour at most', async () => {
  const { reply } = await signIn(await personToken('ada', '12h'));
  const cookie = reply.headers.get('set-cookie') ?? '';
  expect(cookie).toMatch(/^__Host-waveloom_session=[\w-]{43}; /);
  expect(cookie.split('; ').slice(1).sort()).toEqual([
    'HttpOnly',
    expect.stringMatching(/^Max-Age=(3600|359\d)$/),
    'Path=/',
    'SameSite=Lax',
    'Secure',
  ]);
  expect(reply.headers.get('cache-control')).toBe('no-store');
  const { expiresAt } = z.object({ expiresAt: z.iso.datetime() }).parse(reply.json);
  expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.now() + 3_600_000);
});

test('a session never lasts longer than its token', async () => {
  const end = new Date(Math.floor(Date.now() / 1_000 + 300) * 1_000);
  const { reply } = await signIn(await personToken('ada', end));
  expect(reply.json).toEqual({ userId: 'ada', expiresAt: end.toISOString() });
});

test('a token that ends before its session is stored gives none', async () => {
  const until = new Date(Date.now() - 1);
  const created = api.database.transaction((em) => createSession(em, { userId: 'ada', until }));
  await expect(created).rejects.toMatchObject({ code: 'unauthenticated', details: { reason: 'expired' } });
});

test('no cache may keep an answer, because with a session nothing else says that it is for one user', async () => {
  const { cookie } = await signIn(ada.token);
  for (const path of [
    '/v1/me',
    '/v1/teams',
    `/v1/teams/${ada.teamId}/balance`,
    '/v1/users/nobody/notifications',
  ])
    expect((await withCookie('GET', path, cookie)).headers.get('cache-control')).toBe('no-store');
});

test('only the hash of a session is stored', async () => {
  const { cookie } = await signIn(ada.token);
  const { rows } = await api.database.pool.query('select sessions::text as row from sessions');
  expect(JSON.stringify(rows)).not.toContain(cookie.slice(cookieName.length + 1));
});

test('neither a service, nor a session, nor somebody without an account gets a session', async () => {
  const { cookie } = await signIn(ada.token);
  expect(await api.send('POST', '/session', { as: firstKey })).toMatchObject({ status: 403 });
  expect(await withCookie('POST', '/session', cookie, fromOurPage)).toMatchObject({ status: 401 });
  expect(await api.send('POST', '/session', { as: await personToken('nobody') })).toMatchObject(
    refusal(404, 'unknown_user'),
  );
});

test('a session ends when the user signs out, and with the token every session of the user ends', async () => {
  const [first, second] = [await signIn(ada.token), await signIn(ada.token)];
  const reply = await withCookie('DELETE', '/session', first.cookie, fromOurPage);
  expect(reply.status).toBe(204);
  expect(reply.headers.get('set-cookie')).toMatch(/^__Host-waveloom_session=; Max-Age=0; .*Secure/);
  expect([await isValid(first.cookie), await isValid(second.cookie)]).toEqual([false, true]);
  expect((await api.send('DELETE', '/session', { as: ada.token })).status).toBe(204);
  expect(await isValid(second.cookie)).toBe(false);
});

test('a session that has ended is 401 with its reason, and the next sign-in deletes it', async () => {
  const { cookie } = await signIn(ada.token);
  await api.database.pool.query(
    `update sessions set created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'`,
  );
  expect(await withCookie('GET', '/v1/teams', cookie)).toMatchObject(
    refusal(401, 'unauthenticated', { reason: 'session_ended' }),
  );
  await signIn(ada.token);
  const { rows } = await api.database.pool.query('select count(*)::int as sessions from sessions');
  expect(rows).toEqual([{ sessions: 1 }]);
});

test('a user has at most 20 sessions: a further one ends the oldest', async () => {
  const { cookie: oldest } = await signIn(ada.token);
  const others: string[] = [];
  for (let count = 0; count < 20; count += 1) others.push((await signIn(ada.token)).cookie);
  expect(await isValid(oldest)).toBe(false);
  expect(await Promise.all(others.map(isValid))).not.toContain(false);
});

test('erasing a user ends their sessions', async () => {
  const bea = await api.person('bea');
  const { cookie } = await signIn(bea.token);
  expect((await api.send('DELETE', '/v1/users/bea')).status).toBe(202);
  expect(await isValid(cookie)).toBe(false);
});

test('with a session the page learns who is signed in', async () => {
  const { cookie } = await signIn(ada.token);
  expect(await withCookie('GET', '/v1/me', cookie)).toMatchObject({
    status: 200,
    json: { id: 'ada', email: 'ada@example.com', name: 'ada' },
  });
});

test('an Authorization header always decides, even a wrong one', async () => {
  const { cookie } = await signIn(ada.token);
  expect((await withCookie('GET', '/v1/teams', cookie)).status).toBe(200);
  for (const authorization of ['Bearer wrong', 'Basic YTpi', ''])
    expect((await withCookie('GET', '/v1/teams', cookie, { authorization })).status).toBe(401);
});

test.each([
  ['a wrong secret', `${cookieName}=${'a'.repeat(43)}`],
  ['another name', `waveloom_session=${'a'.repeat(43)}`],
  ['no value', `${cookieName}=`],
  ['a long value', `${cookieName}=${'a'.repeat(4_000)}`],
  ['a quoted value', `${cookieName}="${'a'.repeat(43)}"`],
])('a cookie with %s is 401', async (_, cookie) => {
  expect(await withCookie('GET', '/v1/teams', cookie)).toMatchObject({ status: 401 });
});

/** Every route that a user may call and that changes something. */
const changes = routes.filter(
  ({ access, method }) => access !== 'public' && access.persons && !access.byTokenOnly && method !== 'get',
);

test.each(changes.map(({ method, path }) => [method.toUpperCase(), path]))(
  '%s %s is refused with a session unless our own page sends it',
  async (method, path) => {
    const { cookie } = await signIn(ada.token);
    const here = path.replace('{teamId}', ada.teamId).replace(/\{\w+\}/g, 'x');
    const before = await api.snapshot();
    for (const headers of [
      {},
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
    ]) {
      expect(await withCookie(method, here, cookie, headers)).toMatchObject(
        refusal(403, 'cross_site_request'),
      );
    }
    expect(await api.snapshot()).toBe(before);
  },
);

const people: Record<string, { token: string; cookie: string }> = {};
let teamId: string;

/** A team with a user of each role, and a stranger; each has a token and a session. */
async function fillTeam(): Promise<void> {
  if (Object.keys(people).length > 0) return;
  for (const name of ['owner', 'admin', 'billing', 'member', 'stranger']) {
    const { token } = await api.person(name);
    people[name] = { token, cookie: (await signIn(token)).cookie };
  }
  const token = people.owner?.token ?? '';
  teamId = await api.team({ token }, { admin: 'admin', billing: 'billing', member: 'member' }, 'Roles');
}

/** Routes whose call would remove the caller, the team or the session itself, and the one that does not end. */
const ends = [
  'deleteTeam',
  'removeMember',
  'deleteUser',
  'deleteSession',
  'createSession',
  'streamTeamEvents',
];

test.each(
  routes
    .filter(({ access, operationId }) => access !== 'public' && !ends.includes(operationId))
    .map(({ method, path }) => [method.toUpperCase(), path]),
)('%s %s allows a session exactly what it allows the token', async (method, path) => {
  await fillTeam();
  const here = path.replace('{teamId}', teamId).replace(/\{\w+\}/g, 'x');
  const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
  for (const [name, { token, cookie }] of Object.entries(people)) {
    const byToken = await api.sendRaw(method, here, { as: token, ...body });
    const bySession = await api.sendRaw(method, here, {
      as: null,
      headers: { cookie, ...fromOurPage },
      ...body,
    });
    const codeOf = ({ status, json }: Reply) => ({ name, status, code: Reflect.get(Object(json), 'code') });
    expect(codeOf(bySession)).toEqual(codeOf(byToken));
  }
});

test('pages of the dashboard’s origin may sign a browser in, and no other page may', async () => {
  const page = { directory: '/no-page', dashboardOrigin: 'https://app.example.com' };
  const server = createHttpServer(createApp({ ...api.dependencies, page }));
  const url = await listen(server);
  const ask = (method: string, path: string, origin: string) =>
    fetch(url + path, { method, headers: { origin, authorization: `Bearer ${ada.token}` } });
  try {
    for (const method of ['OPTIONS', 'POST']) {
      const { headers, ok } = await ask(method, '/session', 'https://app.example.com');
      expect(ok).toBe(true);
      expect(headers.get('access-control-allow-origin')).toBe('https://app.example.com');
      expect(headers.get('access-control-allow-credentials')).toBe('true');
    }
    const elsewhere = [
      await ask('OPTIONS', '/session', 'https://app.example.com.evil'),
      await ask('POST', '/session', 'null'),
      await ask('GET', '/v1/teams', 'https://app.example.com'),
    ];
    for (const { headers } of elsewhere) expect(headers.get('access-control-allow-origin')).toBeNull();
  } finally {
    await stopServer(server);
  }
});

const signInPage = async (url: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${url}/dev/sign-in`, { headers });
  return { status: response.status, text: await response.text() };
};
const choose = (url: string, choice: Record<string, string>, headers: Record<string, string> = fromOurPage) =>
  fetch(`${url}/dev/sign-in`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(choice),
    redirect: 'manual',
  });

test('the development page lists the users by team and role, the largest team first, and signs one in', async () => {
  await fillTeam();
  const { status, text } = await signInPage(api.url);
  expect(status).toBe(200);
  const first = text.slice(0, text.indexOf('</section>'));
  expect(first).toContain('<h2>Roles</h2>');
  expect([...first.matchAll(/<small>(\w+)<\/small>/g)].map(([, role]) => role)).toEqual([
    'owner',
    'admin',
    'billing',
    'member',
  ]);

  const chosen = await choose(api.url, { userId: 'member', teamId });
  expect([chosen.status, chosen.headers.get('location')]).toEqual([303, `/teams/${teamId}/billing`]);
  const cookie = (chosen.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  expect(await withCookie('GET', `/v1/teams/${teamId}`, cookie)).toMatchObject({ status: 200 });
});

test('names on the development page are text, whatever they contain', async () => {
  await api.send('POST', '/v1/users', {
    body: { id: 'eve', email: 'eve@example.com', name: '<img src=x onerror="alert(1)">' },
  });
  const { text } = await signInPage(api.url);
  expect(text).toContain('&lt;img src=x onerror=&quot;alert(1)&quot;&gt;');
  expect(text).not.toContain('<img');
});

test.each([
  ['of another site', { userId: 'ada' }, { 'sec-fetch-site': 'cross-site' }, 403],
  ['of an unknown user', { userId: 'nobody' }, fromOurPage, 404],
  ['without a user', {}, fromOurPage, 422],
])('the development page refuses a click %s', async (_, choice, headers, status) => {
  const reply = await choose(api.url, { teamId: ada.teamId, ...choice }, headers);
  expect([reply.status, reply.headers.get('set-cookie')]).toEqual([status, null]);
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['10.0.0.7', false],
  ['0.0.0.0', false],
  ['::ffff:192.168.0.9', false],
  ['fe80::1', false],
  [undefined, false],
])('a connection from %s comes from this machine: %s', (address, isOwn) => {
  expect(isOwnAddress(address)).toBe(isOwn);
});

test('the development page is not where it is off, nor at a name of another site', async () => {
  const server = createHttpServer(createApp({ ...api.dependencies, signInWithoutPassword: false }));
  const url = await listen(server);
  try {
    expect((await signInPage(url)).status).toBe(404);
    expect((await choose(url, { userId: 'ada', teamId: ada.teamId })).status).toBe(404);
  } finally {
    await stopServer(server);
  }
  expect(await statusAt(api.url, '/dev/sign-in', 'evil.example.com')).toBe(404);
});
