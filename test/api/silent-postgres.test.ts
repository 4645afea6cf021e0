import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Link, openLink } from '../../dev/link.ts';
import { type RunningApi, startApi } from './running-api.ts';

let api: RunningApi;
let link: Link;
let teamIds: string[];
beforeAll(async () => {
  api = await startApi({
    wayToDatabase: async (url) => {
      const linked = new URL(url);
      link = await openLink(Number(linked.port));
      linked.port = String(link.port);
      return linked.href;
    },
  });
  teamIds = await Promise.all([1, 2, 3, 4].map(async () => (await api.person()).teamId));
  for (const teamId of teamIds) await api.give(teamId, '100');
});
afterAll(async () => {
  await api.stop();
  await link.close();
});

test('when the connections to Postgres fall silent, every request is answered, and the next ones use new connections', async () => {
  const key = await api.key('usage');
  const usage = { action: 'workflow.run', quantities: { runs: 1 } };
  const requests = () =>
    teamIds.flatMap((teamId) => [
      api.send('POST', `/v1/teams/${teamId}/usage`, { body: usage, as: key.key }),
      api.send('GET', `/v1/teams/${teamId}/balance`),
      api.send('GET', `/v1/teams/${teamId}/members`),
      api.send('PUT', `/v1/teams/${teamId}/limits/keys/k`, { body: { credits: '9', per: 'day' } }),
    ]);
  const before = await Promise.all(requests());
  expect(new Set(before.map(({ status }) => status))).toEqual(new Set([200, 201]));

  link.silence();
  link.heal(); // for new connections
  const { status: ready } = await api.sendRaw('GET', '/readyz');
  expect(ready).toBe(503);
  const during = await Promise.all(requests()); // all of them end
  expect(during.every(({ status }) => [200, 201, 503].includes(status))).toBe(true);

  const after = await Promise.all(requests());
  expect(new Set(after.map(({ status }) => status))).toEqual(new Set([200, 201]));
}, 120_000);
