import { randomInt, randomUUID } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { createAuthenticate } from '../../api/authenticate.ts';
import { createRateLimits, defaultRates, networkOf } from '../../api/rate-limits.ts';
import { jwtSecret, type RunningApi, startApi } from './running-api.ts';
import { type Reply, refusal } from './send.ts';

let api: RunningApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

/** Sends the same request this many times, 20 at once. */
async function sendMany(count: number, send: () => Promise<Reply>): Promise<Reply[]> {
  const replies: Reply[] = [];
  const senders = Array.from({ length: 20 }, async () => {
    while (count > 0) {
      count -= 1;
      replies.push(await send());
    }
  });
  await Promise.all(senders);
  return replies;
}

const statusesOf = (replies: Reply[]) => [...new Set(replies.map(({ status }) => status))];

test('an answer says how many requests a user has left, and counts each user separately', async () => {
  const [ada, ben] = [await api.person(), await api.person()];
  const policy = `"person";q=${defaultRates.person};w=60`;
  for (const left of [1, 2].map((sent) => defaultRates.person - sent)) {
    const { headers } = await api.send('GET', '/v1/teams', { as: ada.token });
    expect(headers.get('ratelimit-policy')).toBe(policy);
    expect(headers.get('ratelimit')).toMatch(new RegExp(`^"person";r=${left};t=\\d+$`));
  }
  const { headers } = await api.send('GET', `/v1/teams/${ben.teamId}`, { as: ben.token });
  expect(headers.get('ratelimit-policy')).toBe(`${policy}, "team";q=${defaultRates.team};w=60`);
  expect(headers.get('ratelimit')).toMatch(
    new RegExp(`^"person";r=${defaultRates.person - 1};t=\\d+, "team";r=${defaultRates.team - 1};t=\\d+$`),
  );
});

test('a user who sends too many requests gets 429 before a body is read, and nobody else does', async () => {
  const [loud, quiet] = [await api.person(), await api.person()];
  const send = () => api.send('GET', '/v1/teams', { as: loud.token });
  const allowed = await sendMany(defaultRates.person, send);
  expect(statusesOf(allowed)).toEqual([200]);

  const refused = await api.sendRaw('PUT', `/v1/teams/${loud.teamId}/limits/keys/k`, {
    as: loud.token,
    body: '{this is not JSON',
  });
  expect(refused).toMatchObject(
    refusal(429, 'rate_limited', { policy: 'person', limit: defaultRates.person, retriable: true }),
  );
  const wait = Number(refused.headers.get('retry-after'));
  expect(wait).toBeGreaterThanOrEqual(1);
  expect(wait).toBeLessThanOrEqual(60);
  expect((await api.send('GET', '/v1/teams', { as: quiet.token })).status).toBe(200);
});

test('requests of strangers do not count for a team', async () => {
  const [member, stranger] = [await api.person(), await api.person()];
  const path = `/v1/teams/${member.teamId}`;
  const refused = await sendMany(50, () => api.send('GET', path, { as: stranger.token }));
  expect(statusesOf(refused)).toEqual([404]);
  const { headers } = await api.send('GET', path, { as: member.token });
  expect(headers.get('ratelimit')).toContain(`"team";r=${defaultRates.team - 1};`);
});

test('spends count for their service key and not for the team', async () => {
  const { teamId } = await api.person();
  await api.give(teamId, '10');
  const spent = await api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { action: 'workflow.run', quantities: { run: 1 } },
  });
  expect(spent.headers.get('ratelimit-policy')).toBe(`"service-key";q=${defaultRates['service-key']};w=60`);
});

test('an address that sends too many wrong keys gets 429 instead of 401, its known keys and tokens still work', async () => {
  const known = await api.key('billing');
  const fresh = await api.key('billing');
  const { token } = await api.person();
  const get = (as: string) => api.send('GET', '/v1/teams', { as });
  expect((await get(known.key)).status).toBe(200);

  const wrong = await sendMany(defaultRates.unauthenticated, () => get(`wsk_${randomUUID()}`));
  expect(statusesOf(wrong)).toEqual([401]);
  for (const key of [`wsk_${randomUUID()}`, 'a.b.c', fresh.key])
    expect(await get(key)).toMatchObject(refusal(429, 'rate_limited'));
  expect((await get(known.key)).status).toBe(200);
  expect((await get(token)).status).toBe(200);
});

test('behind a trusted proxy the caller behind it is counted, and a caller cannot choose an address', async () => {
  const proxied = await startApi({ trustedProxies: ['127.0.0.1', '::1'] });
  const direct = await startApi();
  const wrong = (at: RunningApi, forwardedFor: string) =>
    at.sendRaw('GET', '/v1/teams', {
      as: `wsk_${randomUUID()}`,
      headers: { 'x-forwarded-for': forwardedFor },
    });
  // The proxy adds the address that it sees at the end. What stands before it comes from the caller.
  await sendMany(defaultRates.unauthenticated, () => wrong(proxied, `${randomUUID()}, 203.0.113.7`));
  expect((await wrong(proxied, '198.51.100.1, 203.0.113.7')).status).toBe(429);
  expect((await wrong(proxied, '203.0.113.8')).status).toBe(401);

  await sendMany(defaultRates.unauthenticated, () => wrong(direct, `203.0.113.${randomInt(250)}`));
  expect((await wrong(direct, '198.51.100.1')).status).toBe(429);
  await Promise.all([proxied.stop(), direct.stop()]);
});

test('an IPv6 network of 64 bits counts as one address', () => {
  expect(networkOf('2001:db8:1:2:3::1')).toBe('2001:db8:1:2::/64');
  expect(networkOf('2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe('2001:db8:1:2::/64');
  expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
  expect(networkOf('::1')).toBe('0:0:0:0::/64');
  expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
  expect(networkOf('::ffff:203.0.113.7')).toBe('203.0.113.7');
  expect(networkOf('203.0.113.7')).toBe('203.0.113.7');
});

test('a known key counts as known for other requests while it is looked up again', async () => {
  const { key } = await api.key('billing');
  const authenticate = createAuthenticate({
    database: api.dependencies.database,
    auth: { jwtSecret },
    serviceApiKey: undefined,
  });
  const { keyId } = z.object({ keyId: z.string() }).parse(await authenticate(`Bearer ${key}`));
  const now = performance.now.bind(performance);
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + 3_000);
  const again = await Promise.allSettled(
    [1, 2, 3].map(() => authenticate(`Bearer ${key}`, { lookUpNewKeys: false })),
  );
  clock.mockRestore();
  expect(again).toMatchObject([1, 2, 3].map(() => ({ value: { keyId } })));
});

test('requests about a team are counted together, whoever sends them', async () => {
  const rates = createRateLimits({ ...defaultRates, team: 2 });
  const response = () => new ServerResponse(new IncomingMessage(new Socket()));
  const team = randomUUID();
  await rates.countTeam(response(), team);
  await rates.countTeam(response(), team.toUpperCase());
  await expect(rates.countTeam(response(), team)).rejects.toMatchObject({
    code: 'rate_limited',
    details: { policy: 'team', limit: 2 },
  });
  await rates.countTeam(response(), randomUUID());
});
