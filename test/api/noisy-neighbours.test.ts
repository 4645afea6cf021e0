import { beforeAll, expect, test } from '@jest/globals';
import { routes } from '../../api/app.ts';
import { withClient } from '../../dev/postgres.ts';
import { useApi } from './running-api.ts';
import type { Reply } from './send.ts';

const api = useApi();
let noisy: { id: string; token: string; teamId: string };
let quiet: { id: string; token: string; teamId: string };
let stranger: { id: string; token: string; teamId: string };
beforeAll(async () => {
  [noisy, quiet, stranger] = await Promise.all([api.person(), api.person(), api.person()]);
  await api.give(quiet.teamId, '1000');
  await api.give(noisy.teamId, '1000');
});

const usage = { action: 'workflow.run', quantities: { runs: 1 } };
const spend = (teamId: string) => api.send('POST', `/v1/teams/${teamId}/usage`, { body: usage });

/** The statuses of a flood, and of another team's spends and holds that are sent one after another meanwhile. */
async function underFlood(flood: () => Promise<Reply>[]): Promise<{ flood: Reply[]; spends: number[] }> {
  const flooding = Promise.all(flood());
  const spends: number[] = [];
  for (let i = 0; i < 20; i++) spends.push((await spend(quiet.teamId)).status);
  return { flood: await flooding, spends };
}

function expectServedOrTurnedAway(flood: readonly Reply[]): void {
  for (const { status, headers } of flood) {
    expect([200, 429, 503]).toContain(status);
    if (status !== 200) expect(headers.get('retry-after')).toMatch(/^\d+$/);
  }
}

test.each<[string, () => Promise<Reply>[]]>([
  [
    '25 reports over a year',
    () =>
      Array.from({ length: 25 }, () =>
        api.send(
          'GET',
          `/v1/teams/${noisy.teamId}/usage?from=2026-01-01T00:00:00Z&groupBy=day,action,member`,
          {
            as: noisy.token,
          },
        ),
      ),
  ],
  [
    '200 balances of the past',
    () =>
      Array.from({ length: 200 }, () => {
        const at = new Date(Date.now() - 60_000).toISOString();
        return api.send('GET', `/v1/teams/${noisy.teamId}/balance?at=${at}`, { as: noisy.token });
      }),
  ],
  [
    '400 changes of limits',
    () =>
      Array.from({ length: 400 }, (_, key) =>
        api.send('PUT', `/v1/teams/${noisy.teamId}/limits/keys/key_${key}`, {
          as: noisy.token,
          body: { credits: '10', per: 'day' },
        }),
      ),
  ],
])('with %s by one team, no spend of another is refused', async (_, flood) => {
  const { flood: replies, spends } = await underFlood(flood);
  expect(new Set(spends)).toEqual(new Set([201]));
  expectServedOrTurnedAway(replies);
});

test('with changes of limits on a team that is locked, no spend of another is refused', async () => {
  await whileLocked(noisy.teamId, async () => {
    const { flood, spends } = await underFlood(() =>
      Array.from({ length: 60 }, () =>
        api.send('PUT', `/v1/teams/${noisy.teamId}/limits/keys/k`, { body: { credits: '1', per: 'day' } }),
      ),
    );
    expect(new Set(spends)).toEqual(new Set([201]));
    // Every wait for the lock has a time limit.
    expect(new Set(flood.map(({ status }) => status))).toEqual(new Set([429, 503]));
  });
});

const ofTeams = routes.filter(({ path }) => path.includes('{teamId}'));

test('a stranger gets the answer for an unknown team while the team is locked, 60 times', async () => {
  const unknown = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';
  const ask = (teamId: string, { method, path }: (typeof ofTeams)[number]) =>
    api.sendRaw(
      method.toUpperCase(),
      path.replace('{teamId}', teamId).replace(/\{\w+\}/g, stranger.id),
      method === 'get' || method === 'delete' ? { as: stranger.token } : { as: stranger.token, body: {} },
    );
  await whileLocked(noisy.teamId, async () => {
    for (const route of ofTeams) {
      const [one, other] = await Promise.all([ask(noisy.teamId, route), ask(unknown, route)]);
      expect([403, 404, 422]).toContain(one.status);
      expect({ route: route.path, status: one.status }).toEqual({ route: route.path, status: other.status });
    }
    const path = `/v1/teams/${noisy.teamId}`;
    const { flood, spends } = await underFlood(() =>
      Array.from({ length: 60 }, () => api.send('DELETE', path, { as: stranger.token })),
    );
    expect(new Set(spends)).toEqual(new Set([201]));
    expect(flood.every(({ status }) => status === 404 || status === 429)).toBe(true);
  });
});

async function whileLocked(teamId: string, work: () => Promise<void>): Promise<void> {
  await withClient(api.databaseUrl, async (client) => {
    await client.query('begin');
    await client.query('select from teams where id = $1 for update', [teamId]);
    await work().finally(() => client.query('rollback'));
  });
}
