import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type RunningApi, startApi } from './running-api.ts';

/** A way to Postgres whose connections so far can fall silent: what is sent is taken and never passed on. */
interface Way {
  url: string;
  /** New connections work as before. */
  silenceConnections(): void;
  close(): Promise<void>;
}

async function wayTo(databaseUrl: string): Promise<Way> {
  const { hostname, port } = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let generation = 0;
  const server = createServer((near) => {
    const born = generation;
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => born === generation && to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    silenceConnections() {
      generation += 1;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

let api: RunningApi;
let way: Way;
let teamIds: string[];
beforeAll(async () => {
  api = await startApi({
    wayToDatabase: async (url) => {
      way = await wayTo(url);
      return way.url;
    },
  });
  teamIds = await Promise.all([1, 2, 3, 4].map(async () => (await api.person()).teamId));
  for (const teamId of teamIds) await api.give(teamId, '100');
});
afterAll(async () => {
  await api.stop();
  await way.close();
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

  way.silenceConnections();
  const { status: ready } = await api.send('GET', '/readyz');
  expect(ready).toBe(503);
  const during = await Promise.all(requests()); // all of them end
  expect(during.every(({ status }) => [200, 201, 503].includes(status))).toBe(true);

  const after = await Promise.all(requests());
  expect(new Set(after.map(({ status }) => status))).toEqual(new Set([200, 201]));
}, 120_000);
