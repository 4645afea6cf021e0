import { once } from 'node:events';
import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { timezoneIn } from '../../api/shapes.ts';
import type { components } from '../../client/api-types.ts';
import { createBillingClient } from '../../client/billing-client.ts';
import { freePort } from '../../dev/free-port.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { firstKey, useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';
import { spawnApi } from './spawn-api.ts';

const now = new Date('2026-03-10T12:00:00Z');

const api = useApi();
let clock: SettableClock;
let teamId: string;
beforeAll(async () => {
  clock = await settableClock(api.databaseUrl, now);
});
beforeEach(async () => {
  await clock.set(now);
  ({ teamId } = await api.person());
  await api.give(teamId, '1000');
});

/** Half a credit per run. */
const run = (runs: number, rest: object = {}) =>
  api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { action: 'workflow.run', quantities: { runs }, ...rest },
  });
/** 1.2 credits per thousand. */
const think = (tokens: number, rest: object = {}) =>
  api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { action: 'model.gpt-5', quantities: { output_tokens: tokens }, ...rest },
  });
const get = (path: string) => api.send('GET', `/v1/teams/${teamId}/${path}`);
const list = (path: string) => `/v1/teams/${teamId}/${path}${path.includes('?') ? '&' : '?'}`;

/** Every page of a list, one after another. */
async function walk(path: string, between: () => Promise<unknown> = async () => {}) {
  const all: Record<string, unknown>[] = [];
  for await (const page of api.pages(`${list(path)}limit=3`)) {
    all.push(...page);
    await between();
  }
  return all;
}

test('every event is listed with its caller’s receipt, newest first', async () => {
  const consumer = {
    memberId: 'ada',
    apiKeyId: 'key-1',
    runId: 'run-1',
    stepId: 'draft',
    tags: { project: 'site', env: 'prod' },
    metadata: { run: 'r1' },
  };
  const early = await run(2, { ...consumer, occurredAt: '2026-03-01T00:00:00Z' });
  const hold = await api.send('POST', `/v1/teams/${teamId}/holds`, {
    body: { action: 'model.gpt-5', credits: 5, memberId: 'bob', runId: 'run-2', tags: {} },
  });
  const id = idOf(hold);
  const captured = await api.send('POST', `/v1/holds/${id}/capture`, {
    body: { credits: 3, metadata: { a: [1] } },
  });
  const receipt = (json: unknown) => z.record(z.string(), z.unknown()).parse(json);
  expect((await get('usage/events')).json).toEqual({
    data: [
      {
        ...receipt(captured.json),
        occurredAt: '2026-03-10T12:00:00.000Z',
        recordedAt: '2026-03-10T12:00:00.000Z',
        memberId: 'bob',
        apiKeyId: null,
        runId: 'run-2',
        stepId: null,
        tags: {},
        metadata: { a: [1] },
      },
      {
        ...receipt(early.json),
        occurredAt: '2026-03-01T00:00:00.000Z',
        recordedAt: '2026-03-10T12:00:00.000Z',
        ...consumer,
      },
    ],
    nextCursor: null,
  });
});

test('paging through the events returns each once, even if many have the same time and new ones arrive', async () => {
  await Promise.all(Array.from({ length: 10 }, () => run(1)));
  await run(1, { occurredAt: '2026-01-31T23:59:59.999Z' });
  const [events = []] = await Array.fromAsync(api.pages(`${list('usage/events')}limit=100`));
  const before = events.map(({ id }) => id);
  const walked = await walk('usage/events', async () => {
    await clock.set(new Date(clock.now().getTime() + 1));
    await run(1);
  });
  expect(walked.map(({ id }) => id)).toEqual(before);
  expect(new Set(before).size).toBe(11);
});

test('the events of one action, model, member, key, run, step or tag, or of none, can be listed', async () => {
  await run(1, {
    memberId: 'ada',
    apiKeyId: 'key-1',
    runId: 'run-1',
    stepId: 'a',
    tags: { project: 'site' },
  });
  await run(2, { memberId: 'bob', runId: 'run-1', tags: { project: 'app', env: 'prod' } });
  await think(1000, { runId: 'run-2' });
  const credits = async (query: string) =>
    (await walk(`usage/events?${query}`)).map((event) => event.credits).sort();
  expect(await credits('member=ada')).toEqual(['0.5']);
  expect(await credits('member=')).toEqual(['1.2']);
  expect(await credits('key=key-1')).toEqual(['0.5']);
  expect(await credits('run=run-1')).toEqual(['0.5', '1']);
  expect(await credits('run=run-1&step=')).toEqual(['1']);
  expect(await credits('step=a')).toEqual(['0.5']);
  expect(await credits('action=workflow.run&member=bob')).toEqual(['1']);
  expect(await credits('model=gpt-5')).toEqual(['1.2']);
  expect(await credits('model=')).toEqual(['0.5', '1']);
  expect(await credits('tag=project:site')).toEqual(['0.5']);
  expect(await credits('tag=env:')).toEqual(['0.5', '1.2']);
  expect(await get('usage/events?tag=site')).toMatchObject({ status: 400 });
});

test('a run’s statement has its steps, receipts, holds, the grants that paid and the total', async () => {
  await api.give(teamId, '1');
  await run(2, { runId: 'run-1', stepId: 'draft' });
  await run(4, { runId: 'run-1', stepId: 'draft' });
  await run(8, { runId: 'run-1' });
  await run(16, { runId: 'other' });
  const body = {
    action: 'model.gpt-5',
    credits: 5,
    runId: 'run-1',
    stepId: 'think',
    tags: { project: 'site' },
  };
  const hold = async () => idOf(await api.send('POST', `/v1/teams/${teamId}/holds`, { body }));
  const [captured, open] = [await hold(), await hold()];
  await api.send('POST', `/v1/holds/${captured}/capture`, { body: { credits: 3 } });

  const statement = await get('runs/run-1');
  expect(statement).toMatchObject({
    status: 200,
    json: { runId: 'run-1', credits: '10', events: 4, nextCursor: null },
  });
  const { steps, holds, grants } = z
    .looseObject({
      steps: z.array(
        z.looseObject({
          stepId: z.string().nullable(),
          receipts: z.array(z.looseObject({ runId: z.string() })),
        }),
      ),
      holds: z.array(z.looseObject({ id: z.string(), status: z.string() })),
      grants: z.array(z.looseObject({ credits: z.string() })),
    })
    .parse(statement.json);
  expect(steps.sort((a, b) => ((a.stepId ?? '') < (b.stepId ?? '') ? -1 : 1))).toMatchObject([
    { stepId: null, credits: '4', events: 1, receipts: [{ credits: '4' }] },
    { stepId: 'draft', credits: '3', events: 2, receipts: [{ runId: 'run-1' }, { runId: 'run-1' }] },
    {
      stepId: 'think',
      credits: '3',
      receipts: [{ holdId: captured, stepId: 'think', tags: { project: 'site' } }],
    },
  ]);
  expect(holds.map(({ id, status }) => [id, status])).toEqual([
    [open, 'open'],
    [captured, 'captured'],
  ]);
  expect(grants.reduce((sum, { credits }) => sum + Number(credits), 0)).toBe(10);

  const first = await get('runs/run-1?limit=3');
  expect(first).toMatchObject({ json: { credits: '10', events: 4, nextCursor: expect.any(String) } });
  expect(await get('runs/unheard-of')).toMatchObject({ json: { credits: '0', events: 0, steps: [] } });
});

test('run, step and tags are part of what a key stands for, and are checked', async () => {
  const usage = (rest: object, key?: string) =>
    api.send('POST', `/v1/teams/${teamId}/usage`, {
      body: { action: 'workflow.run', quantities: { runs: 1 }, ...rest },
      ...(key === undefined ? {} : { key }),
    });
  const sent = { runId: 'run-1', stepId: 'a', tags: { b: '1', a: '2' } };
  const first = await usage(sent, 'one-key');
  expect(await usage({ ...sent, tags: { a: '2', b: '1' } }, 'one-key')).toMatchObject({ json: first.json });
  for (const other of [
    { ...sent, runId: 'run-2' },
    { ...sent, stepId: 'b' },
    { ...sent, tags: { a: '2' } },
  ])
    expect(await usage(other, 'one-key')).toMatchObject({ json: { code: 'idempotency_conflict' } });
  const six = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => [name, '1']));
  for (const wrong of [
    { runId: '../x' },
    { runId: 'a'.repeat(129) },
    { stepId: '' },
    { tags: six },
    { tags: { 'a:b': '1' } },
    { tags: { a: '' } },
    { tags: { a: 'line\nbreak' } },
    { tags: { a: 1 } },
    { tags: { a: 'x'.repeat(101) } },
  ])
    expect(await usage(wrong)).toMatchObject(refusal(422, 'invalid_request'));
});

test('a range of the history includes its start and excludes its end', async () => {
  for (const hour of [1, 2, 3]) await run(hour, { occurredAt: `2026-03-01T0${hour}:00:00Z` });
  const credits = async (query: string) =>
    (await walk(`usage/events?${query}`)).map((event) => event.credits);
  expect(await credits('from=2026-03-01T01:00:00Z&to=2026-03-01T03:00:00Z')).toEqual(['1', '0.5']);
  expect(await credits('from=2026-03-01T02:00:00Z')).toEqual(['1.5', '1']);
  expect(await credits('to=2026-03-01T02:00:00Z')).toEqual(['0.5']);
  expect(await credits('from=2026-03-01T02:00:00Z&to=2026-03-01T02:00:00Z')).toEqual([]);
});

test('the ledger lists every transfer, newest first', async () => {
  for (const runs of [1, 2, 3]) await run(runs);
  await clock.set(new Date(now.getTime() + 1_000));
  const hold = await api.send('POST', `/v1/teams/${teamId}/holds`, {
    body: { action: 'web.page', credits: 5 },
  });
  const id = idOf(hold);
  await api.send('POST', `/v1/holds/${id}/release`);
  const transfers = await walk('ledger');
  expect(transfers).toMatchObject([
    {
      kind: 'release',
      from: 'held',
      to: 'available',
      credits: '5',
      reference: `hold:${id}`,
      usageEventId: null,
    },
    { kind: 'hold', from: 'available', to: 'held', credits: '5', at: '2026-03-10T12:00:01.000Z' },
    { kind: 'spend', from: 'available', to: 'consumed', credits: '1.5', reference: null },
    { kind: 'spend', credits: '1', usageEventId: expect.any(String) },
    { kind: 'spend', credits: '0.5', source: 'purchase' },
    { kind: 'grant', from: 'issued', to: 'available', credits: '1000' },
  ]);
  expect(await walk(`ledger?to=${now.toISOString()}`)).toEqual([]);
});

test('usage is counted by day, action, model and member', async () => {
  await think(1000, { memberId: 'ada', occurredAt: '2026-03-09T23:59:59.999Z' });
  await think(2000, { memberId: 'bob' });
  await run(1, { memberId: 'ada' });
  await run(2);
  const from = '2026-02-09T00:00:00.000Z';
  expect((await get('usage')).json).toEqual({
    from,
    to: '2026-03-11T00:00:00.000Z',
    timezone: 'UTC',
    data: [
      { day: '2026-03-09', credits: '1.2', events: 1 },
      { day: '2026-03-10', credits: '3.9', events: 3 },
    ],
    total: { credits: '5.1', events: 4 },
  });
  const data = async (groupBy: string) => (await get(`usage?groupBy=${groupBy}`)).json;
  expect(await data('action')).toMatchObject({
    data: [
      { action: 'model.gpt-5', credits: '3.6', events: 2 },
      { action: 'workflow.run', credits: '1.5', events: 2 },
    ],
    total: { credits: '5.1', events: 4 },
  });
  expect(await data('model')).toMatchObject({
    data: [
      { model: null, credits: '1.5', events: 2 },
      { model: 'gpt-5', credits: '3.6', events: 2 },
    ],
  });
  expect(await data('member,day')).toMatchObject({
    data: [
      { day: '2026-03-09', member: 'ada', credits: '1.2' },
      { day: '2026-03-10', member: null, credits: '1' },
      { day: '2026-03-10', member: 'ada', credits: '0.5' },
      { day: '2026-03-10', member: 'bob', credits: '2.4' },
    ],
  });
});

test('usage is counted by hour, API key, run and tag, in any mix, and of a part of the events', async () => {
  await run(1, {
    apiKeyId: 'key-1',
    runId: 'run-1',
    tags: { project: 'site' },
    occurredAt: '2026-03-09T09:59:59.999Z',
  });
  await run(2, { runId: 'run-1', tags: { project: 'app', env: 'prod' }, occurredAt: '2026-03-09T10:00:00Z' });
  await run(4);
  const report = async (query: string) => (await get(`usage?${query}`)).json;
  expect(await report('groupBy=hour&timezone=Asia/Kolkata&to=2026-03-10T00:00:00Z')).toMatchObject({
    data: [{ hour: '2026-03-09T15:00:00+05:30', credits: '1.5', events: 2 }],
  });
  expect(await report('groupBy=tag:project,key,hour')).toMatchObject({
    data: [
      { hour: '2026-03-09T09:00:00+00:00', key: 'key-1', 'tag:project': 'site', credits: '0.5', events: 1 },
      { hour: '2026-03-09T10:00:00+00:00', key: null, 'tag:project': 'app', credits: '1', events: 1 },
      { hour: '2026-03-10T12:00:00+00:00', key: null, 'tag:project': null, credits: '2', events: 1 },
    ],
    total: { credits: '3.5', events: 3 },
  });
  expect(await report('groupBy=run&tag=project:app')).toMatchObject({
    data: [{ run: 'run-1', credits: '1', events: 1 }],
    total: { credits: '1', events: 1 },
  });
  expect(await report('groupBy=key&run=')).toMatchObject({ data: [{ key: null, credits: '2' }] });
  expect(await get('usage?groupBy=tag:')).toMatchObject({ status: 400 });
  expect(await get('usage?groupBy=day,hours')).toMatchObject({ status: 400 });
});

test.each([
  ['UTC', '2026-03-09', '2026-02-09T00:00:00.000Z'],
  ['Asia/Tokyo', '2026-03-10', '2026-02-08T15:00:00.000Z'],
  ['America/New_York', '2026-03-09', '2026-02-09T05:00:00.000Z'],
  ['Asia/Kathmandu', '2026-03-10', '2026-02-08T18:15:00.000Z'],
])('a report’s day is a day in %s', async (timezone, day, from) => {
  await run(1, { occurredAt: '2026-03-09T20:00:00Z' });
  expect((await get(`usage?timezone=${timezone}`)).json).toMatchObject({ timezone, from, data: [{ day }] });
});

test.each('IST ACT AST EST CST GMT EST5EDT Japan posix/UTC UTC+3 +03:00 utc Mars/Olympus'.split(' '))(
  'a time zone is UTC or a region: %s is refused with a message',
  async (timezone) => {
    const reply = await get(`usage?timezone=${encodeURIComponent(timezone)}`);
    expect(reply).toMatchObject(refusal(400, 'invalid_parameters'));
    expect(JSON.stringify(reply.json)).toMatch(
      /query\.timezone.*UTC or a region of the IANA time zone database/,
    );
  },
);

test('every region that is accepted has the same offset in Node and in Postgres', async () => {
  const zones = Intl.supportedValuesOf('timeZone').filter((name) => timezoneIn.safeParse(name).success);
  const times = ['2024-01-15T12:00:00Z', '2024-07-15T12:00:00Z'].map((time) => new Date(time));
  const { rows } = await api.database.pool.query<{ name: string; at: string; minutes: number }>(
    `select name, extract(epoch from at)::text as at, (extract(epoch from at at time zone name) - extract(epoch from at))::int / 60 as minutes
       from unnest($1::text[]) as name cross join unnest($2::timestamptz[]) as at
      where name in (select name from pg_timezone_names)`,
    [zones, times],
  );
  expect(rows.length).toBeGreaterThan(600);
  for (const { name, at, minutes } of rows) {
    const parts = new Intl.DateTimeFormat('en', { timeZone: name, timeZoneName: 'longOffset' }).formatToParts(
      new Date(Number(at) * 1_000),
    );
    const offset = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
    const [, sign, hours, rest] = /^GMT(?:([+-])(\d\d):(\d\d))?$/.exec(offset) ?? [];
    const inNode = (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(rest ?? 0));
    expect([name, at, minutes + 0]).toEqual([name, at, inNode + 0]);
  }
});

test('a report covers exactly the requested range', async () => {
  for (const hour of [1, 2, 3]) await run(hour, { occurredAt: `2026-03-01T0${hour}:00:00Z` });
  const report = await get('usage?from=2026-03-01T02:00:00Z&to=2026-03-01T03:00:00Z&groupBy=action');
  expect(report).toMatchObject({ json: { total: { credits: '1', events: 1 } } });
  expect(await get('usage?from=2025-02-04T00:00:00Z')).toMatchObject({ status: 200 });
  expect(await get('usage?from=2025-02-03T23:59:59.999Z')).toMatchObject(
    refusal(422, 'range_too_long', { longestDays: 400 }),
  );
  expect(await get('usage?to=2026-03-02T00:00:00Z')).toMatchObject({
    json: { from: '2026-01-31T00:00:00.000Z' },
  });
  expect(await get('usage?from=2026-03-02T00:00:00Z&to=2026-03-02T00:00:00Z')).toMatchObject(
    refusal(422, 'empty_range'),
  );
});

test('as CSV, a report has no cell with a formula', async () => {
  await run(1, { memberId: '-2-3' });
  await think(1000);
  const csv = async (accept: string) => {
    const { key } = await api.key('billing');
    const path = `/v1/teams/${teamId}/usage?groupBy=member,model,day`;
    const response = await api.client(key).fetch(path, { headers: { accept } });
    return {
      type: response.headers.get('content-type'),
      name: response.headers.get('content-disposition'),
      text: await response.text(),
    };
  };
  expect(await csv('text/csv')).toEqual({
    type: 'text/csv; charset=utf-8; header=present',
    name: 'attachment; filename=usage.csv',
    text: "day,model,member,credits,events\r\n2026-03-10,,'-2-3,0.5,1\r\n2026-03-10,gpt-5,,1.2,1\r\n",
  });
  expect((await csv('*/*')).type).toMatch(/json/);
});

test('as CSV, the events of a range are one file in the order of the list, and no cell is a formula', async () => {
  await run(1, { occurredAt: '2026-02-28T23:59:59Z' });
  await run(2, {
    occurredAt: '2026-03-01T00:00:00Z',
    memberId: '-2-3',
    apiKeyId: '@key',
    runId: 'run-1',
    tags: { project: '=1,1' },
  });
  await think(1000, { stepId: 'draft' });
  const [late, early] = (await walk('usage/events?from=2026-03-01T00:00:00Z')).map(({ id }) => id);
  const response = await fetchCsv('usage/events?from=2026-03-01T00:00:00Z');
  expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
  expect(response.headers.get('content-disposition')).toBe('attachment; filename=usage-events.csv');
  expect(await response.text()).toBe(
    [
      'id,occurredAt,recordedAt,action,quantities,credits,priceVersion,memberId,apiKeyId,runId,stepId,tags',
      `${late},2026-03-10T12:00:00.000Z,2026-03-10T12:00:00.000Z,model.gpt-5,"{""output_tokens"":""1000""}",1.2,1,,,,draft,`,
      `${early},2026-03-01T00:00:00.000Z,2026-03-10T12:00:00.000Z,workflow.run,"{""runs"":""2""}",1,1,'-2-3,'@key,run-1,,"{""project"":""=1,1""}"`,
      '',
    ].join('\r\n'),
  );
  expect(await (await fetchCsv('usage/events?action=nothing')).text()).toMatch(/^id,.*tags\r\n$/);
  expect((await fetchCsv('usage/events?tag=nothing')).status).toBe(400);
});

test('the CSV file has each event of many pages once, and a client notices if it is cut off', async () => {
  await insertEvents(40_000);
  const text = await (await fetchCsv('usage/events')).text();
  const ids = text
    .split('\r\n')
    .slice(1, -1)
    .map((line) => line.slice(0, 36));
  expect(ids).toHaveLength(40_000);
  expect(ids).toEqual([...new Set(ids)].sort().reverse()); // the ids are in the order of the time

  // The file is larger than the buffers of the connection, so the last page is not read yet.
  const failing = await startReading(api.url);
  await api.database.pool.query('alter table usage_events rename column tags to tags_gone');
  await expect(failing.rest()).rejects.toThrow();
  await api.database.pool.query('alter table usage_events rename column tags_gone to tags');

  const port = await freePort();
  const program = spawnApi({ port, operationsPort: await freePort(), databaseUrl: api.applicationUrl });
  await once(program, 'message');
  const dying = await startReading(`http://127.0.0.1:${port}`);
  program.kill('SIGKILL');
  await expect(dying.rest()).rejects.toThrow();
});

/** Starts to read the events as CSV, and reads the rest when it is called. */
async function startReading(url: string) {
  const response = await fetchCsv('usage/events', url);
  const reader = response.body?.getReader();
  await reader?.read();
  return {
    async rest() {
      while (!(await reader?.read())?.done);
    },
  };
}

const fetchCsv = (path: string, baseUrl = api.url) =>
  createBillingClient({ baseUrl, credentials: { serviceKey: firstKey } }).fetch(
    `/v1/teams/${teamId}/${path}`,
    { headers: { accept: 'text/csv', 'accept-encoding': 'identity' } },
  );

/** Events of the last days, each with about 600 bytes of tags. */
async function insertEvents(count: number): Promise<void> {
  await api.database.pool.query(
    `insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version, balance_after, tags)
     select $1, at, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, at, 'workflow.run', '[{"meter":"runs","quantity":"1","unitPrice":"0.5","credits":"0.5"}]',
            500000, 1, 0, $2::jsonb
       from generate_series(1, $3::integer) as n, lateral (select $4::timestamptz + n * interval '10 milliseconds' as at)`,
    [
      teamId,
      JSON.stringify({ a: 'x'.repeat(100), b: 'x'.repeat(100), c: 'x'.repeat(100), d: 'x'.repeat(300) }),
      count,
      '2026-03-09T00:00:00Z',
    ],
  );
}

test('the activity lists credits that came and went, the usage of each day and administrative acts, page by page', async () => {
  await run(2, { occurredAt: '2026-03-09T23:30:00Z' });
  await run(4);
  const adjust = (body: components['schemas']['NewAdjustment']) =>
    api.send('POST', `/v1/teams/${teamId}/adjustments`, { body });
  await clock.set(new Date('2026-03-11T08:00:00Z'));
  await adjust({ credits: '10', reason: 'a gift', expiresAt: '2026-03-12T00:00:00Z' });
  await adjust({ credits: '-3', reason: 'a mistake' });
  const kinds = (rows: Record<string, unknown>[]) =>
    rows.map(({ kind, change, action, day, credits }) => [change ?? action ?? day ?? kind, credits]);
  const expected = [
    ['credits.adjusted', undefined],
    ['taken_by_adjustment', '3'],
    ['credits.adjusted', undefined],
    ['granted', '10'],
  ];
  const [rows = []] = await Array.fromAsync(api.pages(`${list('activity')}limit=100`));
  expect(kinds(rows.slice(0, 4)).map(String).sort()).toEqual(expected.map(String).sort());
  expect(kinds(rows.slice(4).filter(({ kind }) => kind !== 'act'))).toEqual([
    ['granted', '1000'],
    ['2026-03-10', '2'],
    ['2026-03-09', '1'],
  ]);
  expect(rows.filter(({ kind }) => kind === 'act')).toContainEqual(
    expect.objectContaining({ actor: expect.stringMatching(/^service:/), reason: 'a gift' }),
  );
  expect(await walk('activity')).toEqual(rows);
  // In Kathmandu the first usage occurred on the 10th too.
  expect((await get('activity?timezone=Asia/Kathmandu')).json).toMatchObject({
    data: expect.arrayContaining([expect.objectContaining({ day: '2026-03-10', credits: '3', events: 2 })]),
  });
});

test('a forecast says which credits expire and when none are left', async () => {
  await run(1_980, { occurredAt: '2026-03-03T12:00:00Z' }); // 7 days ago, not counted
  expect(await get('forecast')).toMatchObject({
    json: { expiring: [], pace: { days: 7, creditsPerDay: '0' }, runsOutAt: null },
  });
  await run(14, { occurredAt: '2026-03-03T12:00:00.001Z' });
  const body = { credits: 10, reason: 'a gift', expiresAt: '2026-03-12T12:00:00Z' };
  await api.send('POST', `/v1/teams/${teamId}/adjustments`, { body });
  // 1 a day: 2 days of the gift, then 3 days of the other credits
  expect((await get('forecast')).json).toEqual({
    expiring: [{ at: '2026-03-12T12:00:00.000Z', credits: '10', unused: '8' }],
    pace: { days: 7, creditsPerDay: '1' },
    runsOutAt: '2026-03-15T12:00:00.000Z',
    asOf: now.toISOString(),
  });
});

test('every member reads the team’s usage, ledger and forecast; nobody else does', async () => {
  const [{ token, teamId: theirs }, stranger] = [await api.person(), await api.person()];
  for (const path of ['usage', 'usage/events', 'runs/run-1', 'activity', 'ledger', 'forecast']) {
    const at = `/v1/teams/${theirs}/${path}`;
    expect(await api.send('GET', at, { as: token })).toMatchObject({ status: 200 });
    expect(await api.send('GET', at, { as: stranger.token })).toMatchObject(refusal(404, 'unknown_team'));
    expect(await api.send('GET', at, { as: (await api.key('onboarding')).key })).toMatchObject({
      status: 403,
    });
  }
});

test('a link gets the CSV file by format=csv, with the figures of the report', async () => {
  await run(2, { memberId: 'ada' });
  const { key } = await api.key('billing');
  const csv = await api.client(key).fetch(`/v1/teams/${teamId}/usage?groupBy=member&format=csv`, {
    headers: { accept: 'text/html,*/*;q=0.8' },
  });
  expect(await csv.text()).toBe('member,credits,events\r\nada,1,1\r\n');
  expect(csv.headers.get('content-disposition')).toContain('usage.csv');
  const url = `/v1/teams/${teamId}/usage?groupBy=member&format=json`;
  expect(await api.sendRaw('GET', url, { headers: { accept: 'text/csv' } })).toMatchObject({
    json: { data: [{ member: 'ada', credits: '1', events: 1 }] },
  });
  expect(await get('usage?format=xls')).toMatchObject({ status: 400 });
});

test('transfers are listed by their kinds, page by page', async () => {
  for (let runs = 1; runs <= 4; runs += 1) await run(runs);
  await api.give(teamId, '7');
  const kinds = async (query: string) =>
    (await walk(`ledger${query}`)).map(({ kind, credits }) => [kind, credits]);
  expect(await kinds('?kind=grant')).toEqual([
    ['grant', '7'],
    ['grant', '1000'],
  ]);
  expect(await kinds('?kind=spend')).toEqual([
    ['spend', '2'],
    ['spend', '1.5'],
    ['spend', '1'],
    ['spend', '0.5'],
  ]);
  expect(await kinds('?kind=expire,spend,grant')).toHaveLength(6);
  for (const list of ['', 'grant,', 'gift', "grant' or true"]) {
    expect(await get(`ledger?kind=${encodeURIComponent(list)}`)).toMatchObject({ status: 400 });
  }
});

test('the balance over time says what each local day brought, used, and left', async () => {
  await run(20);
  await clock.set(new Date('2026-03-11T22:30:00Z'));
  await api.give(teamId, '50');
  const hold = await api.send('POST', `/v1/teams/${teamId}/holds`, {
    body: { action: 'model.gpt-5', credits: 5 },
  });
  expect(hold.status).toBe(201);
  const none = { expired: '0', revoked: '0', settled: '0' };
  const history = (query: string) =>
    get(`balance/history?from=2026-03-10T00:00:00Z&to=2026-03-20T00:00:00Z${query}`);
  expect(await history('')).toMatchObject({
    status: 200,
    json: {
      timezone: 'UTC',
      opening: { available: '0', held: '0' },
      data: [
        { day: '2026-03-10', granted: '1000', consumed: '10', ...none, available: '990', held: '0' },
        { day: '2026-03-11', granted: '50', consumed: '0', ...none, available: '1035', held: '5' },
      ],
      asOf: '2026-03-11T22:30:00.000Z',
    },
  });
  const { json } = await history('&timezone=Asia/Kolkata');
  const days = z
    .object({ data: z.array(z.object({ day: z.string(), granted: z.string() })) })
    .parse(json).data;
  expect(days).toEqual([
    { day: '2026-03-10', granted: '1000' },
    { day: '2026-03-11', granted: '0' },
    { day: '2026-03-12', granted: '50' },
  ]);
  expect(await history('&timezone=Mars/Base')).toMatchObject({ status: 400 });
  expect(await get('balance/history')).toMatchObject({ status: 400 });
  expect(await get('balance/history?from=2026-03-10T00:00:00Z&to=2026-03-10T00:00:00Z')).toMatchObject(
    refusal(422, 'empty_range'),
  );
});
