import { beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { createTeamEvents } from '../../api/team-events.ts';
import { type Person, personToken, useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();
let ada: Person;
beforeAll(async () => {
  ada = await api.person('ada');
  await api.give(ada.teamId, '100');
});

const changedIn = z.object({ changed: z.array(z.string()) });

/** Opens a stream. `next()` waits for the next event; null: the stream has ended. */
async function open(teamId: string, token: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await api.client(token).fetch(`/v1/teams/${teamId}/events`, {
    headers,
    signal: abort.signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let lastId = '';
  async function block(): Promise<string | null> {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const found = text.slice(0, end);
        text = text.slice(end + 2);
        lastId = /^id: (.*)$/m.exec(found)?.[1] ?? lastId;
        return found;
      }
      const read = await reader?.read();
      if (!read || read.done) return null;
      text += read.value;
    }
  }
  return {
    response,
    lastId: () => lastId,
    block,
    async next(): Promise<string[] | null> {
      for (;;) {
        const found = await block();
        if (found === null) return null;
        const data = /^data: (.*)$/m.exec(found)?.[1];
        if (data !== undefined) return changedIn.parse(JSON.parse(data)).changed;
      }
    },
    close: () => abort.abort(),
  };
}

const spend = (teamId: string) =>
  api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { action: 'workflow.run', quantities: { runs: 1 } },
  });

test('a stream says what has changed in the team, and no figures', async () => {
  const stream = await open(ada.teamId, ada.token);
  expect(stream.response.status).toBe(200);
  expect(stream.response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  expect(stream.response.headers.get('cache-control')).toBe('no-store');
  expect(await stream.block()).toMatch(/^retry: \d+\nid: \S+$/);

  await spend(ada.teamId);
  expect(await stream.next()).toEqual(['balance', 'usage']);
  await api.give(ada.teamId, '1');
  expect(await stream.next()).toEqual(expect.arrayContaining(['balance']));
  await api.send('POST', `/v1/teams/${ada.teamId}/holds`, { body: { action: 'workflow.run', credits: '1' } });
  expect(await stream.next()).toEqual(['balance']);
  await api.database.pool.query(
    `insert into orders (id, team_id, product, paid_amount, currency, state_at)
     values ('order-1', $1, 'pack_1000', 100, 'usd', now())`,
    [ada.teamId],
  );
  expect(await stream.next()).toEqual(['invoices']);
  stream.close();
});

test('a stream says nothing about another team', async () => {
  const bea = await api.person('bea');
  const stream = await open(bea.teamId, bea.token);
  await spend(ada.teamId);
  await api.give(bea.teamId, '5');
  expect(await stream.next()).toEqual(['balance']);
  stream.close();
});

test('a browser that connects again gets what it missed', async () => {
  const first = await open(ada.teamId, ada.token);
  await first.block();
  const lastId = first.lastId();
  first.close();
  await spend(ada.teamId);
  const again = await open(ada.teamId, ada.token, { 'last-event-id': lastId });
  expect(await again.next()).toEqual(['balance', 'usage']);
  again.close();
  for (const id of ['x', '0-0-0-0', `${lastId}0`]) {
    const other = await open(ada.teamId, ada.token, { 'last-event-id': id });
    expect(other.response.status).toBe(200);
    other.close();
  }
});

test('the stream of a removed member ends without another event', async () => {
  await api.person('leaver');
  const path = `/v1/teams/${ada.teamId}/members/leaver`;
  await api.send('PUT', path, { body: { role: 'member' } });
  const token = await personToken('leaver');
  const stream = await open(ada.teamId, token);
  await stream.block();
  expect((await api.send('DELETE', path)).status).toBe(204);
  await spend(ada.teamId);
  expect(await stream.next()).toBeNull();
});

test('a stream that opens while the watched teams are read stays open', async () => {
  const bea = await api.person();
  const reading = Promise.withResolvers<void>();
  const mayAnswer = Promise.withResolvers<void>();
  const { database, teamEvents } = api.dependencies;
  const { pool } = database.lane('reads');
  let queries = 0;
  const slowPool = Object.create(pool, {
    query: {
      value: async (...args: Parameters<typeof pool.query>) => {
        queries += 1;
        const answer: unknown = await Reflect.apply(pool.query, pool, args);
        if (queries !== 2) return answer; // the first is of the stream, the second of the watched teams
        reading.resolve();
        await mayAnswer.promise;
        return answer;
      },
    },
  });
  const slow = { ...database, lane: () => ({ ...database, pool: slowPool }) };
  api.dependencies.teamEvents = createTeamEvents(slow);
  const first = await open(ada.teamId, ada.token);
  await reading.promise;
  const second = await open(bea.teamId, bea.token);
  await second.block();
  mayAnswer.resolve();
  await api.give(bea.teamId, '5');
  expect(await second.next()).toEqual(['balance']);
  for (const stream of [first, second]) stream.close();
  api.dependencies.teamEvents.close();
  api.dependencies.teamEvents = teamEvents;
});

test('a stream whose caller cannot be checked now delays no other stream', async () => {
  const [bea, dan] = [await api.person(), await api.person()];
  const streams = [await open(bea.teamId, bea.token), await open(dan.teamId, dan.token)] as const;
  const { authenticate } = api.dependencies;
  const isAsked = Promise.withResolvers<void>();
  const mayAnswer = Promise.withResolvers<void>();
  // As while the identity provider's key server accepts a connection and does not answer.
  api.dependencies.authenticate = async (authorization, options) => {
    if (authorization === `Bearer ${bea.token}`) {
      isAsked.resolve();
      await mayAnswer.promise;
    }
    return authenticate(authorization, options);
  };
  await api.give(bea.teamId, '5');
  await isAsked.promise;
  await api.give(dan.teamId, '5');
  expect(await streams[1].next()).toEqual(['balance']);
  mayAnswer.resolve();
  expect(await streams[0].next()).toEqual(['balance']);
  api.dependencies.authenticate = authenticate;
  for (const stream of streams) stream.close();
});

test('a stream ends with the session that opened it', async () => {
  const reply = await api.send('POST', '/session', { as: ada.token });
  const cookie = (reply.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const abort = new AbortController();
  const response = await fetch(`${api.url}/v1/teams/${ada.teamId}/events`, {
    headers: { cookie },
    signal: abort.signal,
  });
  expect(response.status).toBe(200);
  const ended = response.text();
  await api.send('DELETE', '/session', { as: ada.token });
  // Each change makes the stream check its session, which is cached for two seconds.
  let isOpen = true;
  void ended.finally(() => {
    isOpen = false;
  });
  while (isOpen) {
    await spend(ada.teamId);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(await ended).not.toContain('credits');
});

test('a stranger gets no stream', async () => {
  const stranger = await api.person('stranger');
  const reply = await api.send('GET', `/v1/teams/${ada.teamId}/events`, { as: stranger.token });
  expect(reply).toMatchObject(refusal(404, 'unknown_team'));
});

test('a user may open 12 streams, and another one after closing one', async () => {
  const cyd = await api.person('cyd');
  const streams = await Promise.all(Array.from({ length: 12 }, () => open(cyd.teamId, cyd.token)));
  const refused = await api.send('GET', `/v1/teams/${cyd.teamId}/events`, { as: cyd.token });
  expect(refused).toMatchObject(refusal(429, 'too_many_requests', { retriable: true }));
  streams[0]?.close();
  let status = 429;
  while (status === 429) {
    const again = await open(cyd.teamId, cyd.token);
    ({ status } = again.response);
    again.close();
  }
  expect(status).toBe(200);
  for (const stream of streams) stream.close();
});

test('when the process stops, every stream ends', async () => {
  const stream = await open(ada.teamId, ada.token);
  await stream.block();
  api.dependencies.teamEvents.close();
  expect(await stream.next()).toBeNull();
  api.dependencies.teamEvents = createTeamEvents(api.dependencies.database);
});
