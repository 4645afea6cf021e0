import { beforeAll, expect, test } from '@jest/globals';
import { routes } from '../../api/app.ts';
import { type RawRequest, useApi } from './running-api.ts';
import type { Reply } from './send.ts';

const unknownTeam = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';

const api = useApi();
let teamId: string;
beforeAll(async () => {
  ({ teamId } = await api.person('ada'));
  await api.give(teamId, '1000');
});

/** Sends the request, and expects a problem that names the wrong value, and no change. */
async function expectRefusal(
  [method, path, sending]: [string, string, RawRequest],
  status: number,
  code: string,
  culprit: RegExp,
): Promise<Reply> {
  const before = await api.snapshot();
  const reply = await api.sendRaw(method, path.replace('TEAM', teamId), sending);
  expect(reply).toMatchObject({
    status,
    json: { status, code, type: expect.stringMatching(/^\/docs\/errors#/), title: expect.any(String) },
  });
  expect(reply.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(JSON.stringify(reply.json)).toMatch(culprit);
  expect(JSON.stringify(reply.json)).not.toMatch(/\.ts|node_modules|select |insert /);
  expect(await api.snapshot()).toBe(before);
  return reply;
}

const usagePath = '/v1/teams/TEAM/usage';
const runs = (quantity: unknown) => ({ action: 'workflow.run', quantities: { runs: quantity } });
const runsAt = (occurredAt: string) => ({ ...runs(1), occurredAt });

test.each<[string, unknown]>([
  ['negative', -1],
  ['a fraction as a number', 0.5],
  ['negative text', '-1'],
  ['20 digits', '12345678901234567890'],
  ['an unsafe integer', Number.MAX_SAFE_INTEGER + 1],
  ['7 decimals', '1.0000001'],
  ['an exponent', '1e3'],
  ['NaN as text', 'NaN'],
  ['a boolean', true],
  ['null', null],
  ['an array', [1]],
  ['an object', { valueOf: 1 }],
  ['spaces', ' 1'],
  ['other digits', '١'],
])('a quantity that is %s is refused by name', async (_, quantity) => {
  await expectRefusal(
    ['POST', usagePath, { body: runs(quantity) }],
    422,
    'invalid_request',
    /quantities\.runs/,
  );
});

test.each<[string, string | object, RegExp, number?, string?]>([
  ['1e400', '{"action":"workflow.run","quantities":{"runs":1e400}}', /quantities\.runs/],
  ['NaN', '{"action":"workflow.run","quantities":{"runs":NaN}}', /JSON/, 400, 'malformed_json'],
  ['half a body', '{"action":', /JSON/, 400, 'malformed_json'],
  ['a list', '[]', /body/],
  ['text', '"usage"', /JSON/, 400, 'malformed_json'],
  ['nothing in it', {}, /action.*quantities/],
  ['no meters', { action: 'workflow.run', quantities: {} }, /quantities/],
  ['wrong types', { action: 7, quantities: [] }, /action.*quantities/],
  ['an unknown field', { ...runs(1), credits: '-5' }, /credits/],
  ['a key of JavaScript', '{"action":"a","quantities":{"__proto__":1}}', /__proto__/],
  ['a NUL', { ...runs(1), metadata: { run: 'a\0b' } }, /metadata\.run/],
  ['half a surrogate', '{"action":"a","metadata":{"x":"\\ud800"},"quantities":{"x":1}}', /metadata\.x/],
  ['an unknown action', { ...runs(1), action: 'model.none' }, /model\.none/, 422, 'unknown_action'],
  ['an unknown meter', { ...runs(1), quantities: { walks: 1 } }, /walks/, 422, 'unknown_meter'],
  [
    'a meter of JavaScript',
    { ...runs(1), quantities: { constructor: 1 } },
    /constructor/,
    422,
    'unknown_meter',
  ],
  ['too many runs', runs(Number.MAX_SAFE_INTEGER), /runs/, 422, 'quantity_too_large'],
  ['too dear', runs('900000000000'), /available/, 402, 'insufficient_credits'],
  ['a time that is none', runsAt('yesterday'), /occurredAt/],
  ['a time without a zone', runsAt('2026-01-01T00:00:00'), /occurredAt/],
  ['an old time', runsAt('2001-01-01T00:00:00Z'), /occurredAt/, 422, 'occurred_at_out_of_range'],
  ['a future time', runsAt('2199-01-01T00:00:00Z'), /occurredAt/, 422, 'occurred_at_out_of_range'],
  ['a member id with a space', { ...runs(1), memberId: 'a b' }, /memberId/],
  ['much metadata', { ...runs(1), metadata: { x: 'y'.repeat(5_000) } }, /metadata/],
  ['a huge body', { ...runs(1), metadata: { x: 'y'.repeat(200_000) } }, /102400/, 413, 'body_too_large'],
  ['a deep body', `{"metadata":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`, /deep/],
  ['a deep list', `{"quantities":${'['.repeat(40_000)}${']'.repeat(40_000)}}`, /deep/],
])(
  'usage with %s is refused with a reason',
  async (_, body, culprit, status = 422, code = 'invalid_request') => {
    await expectRefusal(['POST', usagePath, { body }], status, code, culprit);
  },
);

test('a body that is not sent as JSON is refused', async () => {
  const form: RawRequest = {
    body: 'action=x',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  };
  await expectRefusal(['POST', usagePath, form], 415, 'unsupported_media_type', /application\/json/);
  const charset: RawRequest = {
    body: '{}',
    headers: { 'content-type': 'application/json; charset=klingon' },
  };
  await expectRefusal(['POST', usagePath, charset], 415, 'unsupported_media_type', /charset/);
});

test.each(['gzip', 'deflate', 'br'])(
  'a body that is no %s, though it says so, is refused',
  async (encoding) => {
    const sending: RawRequest = {
      body: '{}',
      headers: { 'content-type': 'application/json', 'content-encoding': encoding },
    };
    await expectRefusal(['POST', usagePath, sending], 400, 'malformed_body', /could not be read/);
  },
);

const keyed = routes.filter(({ needsIdempotencyKey }) => needsIdempotencyKey);

test.each(keyed.map(({ method, path }) => [method.toUpperCase(), path]))(
  '%s %s demands an Idempotency-Key, and a sensible one',
  async (method, path) => {
    const target = path.replace('{teamId}', 'TEAM');
    for (const [key, culprit] of [
      [null, /Idempotency-Key/],
      ['x'.repeat(256), /255/],
      ['a b', /visible/],
    ] as const)
      await expectRefusal([method, target, { body: {}, key }], 400, 'idempotency_key_required', culprit);
  },
);

test('every POST that changes something requires a key, except those with keys in the body', () => {
  const free = routes.filter(({ method, needsIdempotencyKey }) => method === 'post' && !needsIdempotencyKey);
  expect(free.map(({ path }) => path).sort()).toEqual([
    '/session',
    '/v1/email-opt-outs/{token}',
    '/v1/inbox/{inboxId}/approve',
    '/v1/inbox/{inboxId}/assign',
    '/v1/inbox/{inboxId}/dismiss',
    '/v1/inbox/{inboxId}/retry',
    '/v1/invitations/{invitationId}/accept',
    '/v1/invitations/{invitationId}/decline',
    '/v1/usage/batch',
    '/v1/users',
    '/v1/webhooks/polar',
  ]);
});

const ofTeams = routes.filter(({ path }) => path.includes('{teamId}'));
/** The body of each route, by the end of its path. */
const bodies: [RegExp, unknown][] = [
  [/\/usage$/, runs(1)],
  [/\/holds$/, { action: 'workflow.run', credits: 1 }],
  [/\/limits\//, { credits: 1, per: 'day' }],
  [/\/adjustments$/, { credits: 1, reason: 'a gift' }],
  [/\/checkout$/, { product: 'pack_1000' }],
  [/\/change$/, { plan: 'pro_monthly' }],
  [/\/members\//, { role: 'member' }],
];
const bodyFor = (path: string): unknown => bodies.find(([form]) => form.test(path))?.[1] ?? {};

test.each(ofTeams.map(({ method, path }) => [method.toUpperCase(), path]))(
  '%s %s tells an unknown team from one that cannot be',
  async (method, path) => {
    const at = (id: string) =>
      path
        .replace('{teamId}', id)
        .replace('{orderId}', unknownTeam)
        .replace(/\{(userId|memberId|apiKeyId)\}/, 'ada');
    const sending: RawRequest = method === 'GET' || method === 'DELETE' ? {} : { body: bodyFor(path) };
    await expectRefusal([method, at(unknownTeam), sending], 404, 'unknown_team', new RegExp(unknownTeam));
    await expectRefusal([method, at('17'), sending], 400, 'invalid_parameters', /params\.teamId/);
    await expectRefusal([method, at("'%20or%201=1"), sending], 400, 'invalid_parameters', /params\.teamId/);
  },
);

test.each<[string, string, unknown, number, RegExp]>([
  ['POST', '/v1/users', { id: 'a b', email: 'x@example.com', name: 'x' }, 422, /id/],
  ['POST', '/v1/users', { id: 'x'.repeat(65), email: 'x@example.com', name: 'x' }, 422, /id/],
  ['POST', '/v1/users', { id: 'x', email: 'not an address', name: 'x' }, 422, /email/],
  ['POST', '/v1/users', { id: 'x', email: 'x@example.com', name: '  ' }, 422, /name/],
  ['POST', '/v1/users', { id: 'x', email: 'x@example.com', name: 'x', admin: true }, 422, /admin/],
  ['POST', '/v1/users', { id: 1, email: null, name: {} }, 422, /id.*email.*name/],
  ['POST', '/v1/users', undefined, 422, /body/],
  ['POST', '/v1/teams', { name: 'x'.repeat(101), ownerId: 'ada' }, 422, /name/],
  ['POST', '/v1/teams', { name: 'x', ownerId: ['ada'] }, 422, /ownerId/],
  ['PUT', '/v1/teams/TEAM/members/ada', { role: 'king' }, 422, /role/],
  ['PUT', '/v1/teams/TEAM/members/a%20b', { role: 'member' }, 400, /params\.userId/],
  ['PUT', '/v1/teams/TEAM/members/nobody', { role: 'member' }, 404, /nobody/],
  ['DELETE', '/v1/teams/TEAM/members/nobody', undefined, 404, /nobody/],
  ['POST', '/v1/teams/TEAM/checkout', { product: 'gold' }, 422, /gold/],
  ['POST', '/v1/teams/TEAM/checkout', { product: 7 }, 422, /product/],
  ['POST', '/v1/teams/TEAM/subscription/change', { plan: '' }, 422, /plan/],
  ['POST', '/v1/teams/TEAM/subscription/cancel', undefined, 409, /no_subscription/],
  ['POST', '/v1/usage/batch', { events: [] }, 422, /events/],
  ['POST', '/v1/usage/batch', { events: Array(1_001).fill({}) }, 422, /events/],
  ['POST', '/v1/usage/batch', { events: 'x' }, 422, /events/],
  ['GET', '/v1/teams/TEAM/balance?at=soon', undefined, 400, /query\.at/],
  ['GET', '/v1/teams/TEAM/balance?at=2199-01-01T00:00:00Z', undefined, 422, /future/],
  ['GET', '/v1/teams?limit=0', undefined, 400, /query\.limit/],
  ['GET', '/v1/teams?limit=1000', undefined, 400, /query\.limit/],
  ['GET', '/v1/teams?limit=1&limit=2', undefined, 400, /query\.limit/],
  ['GET', '/v1/teams?cursor=x', undefined, 400, /cursor/],
  ['GET', '/v1/inbox?status=lost', undefined, 400, /query\.status/],
  ['GET', '/v1/teams/TEAM/usage?groupBy=week', undefined, 400, /query\.groupBy/],
  ['GET', '/v1/teams/TEAM/usage?groupBy=', undefined, 400, /query\.groupBy/],
  ['GET', '/v1/teams/TEAM/usage?groupBy=day&groupBy=model', undefined, 400, /query\.groupBy/],
  ['GET', '/v1/teams/TEAM/usage?timezone=Mars/Olympus', undefined, 400, /query\.timezone/],
  ['GET', "/v1/teams/TEAM/usage?timezone=UTC'--", undefined, 400, /query\.timezone/],
  ['GET', '/v1/teams/TEAM/usage?timezone=%2B02:00', undefined, 400, /query\.timezone/],
  ['GET', '/v1/teams/TEAM/usage?from=yesterday', undefined, 400, /query\.from/],
  ['GET', '/v1/teams/TEAM/usage?from=2024-01-01T00:00:00Z', undefined, 422, /range_too_long/],
  ['GET', '/v1/teams/TEAM/usage?from=2199-01-01T00:00:00Z', undefined, 422, /empty_range/],
  ['GET', '/v1/teams/TEAM/usage/events?limit=101', undefined, 400, /query\.limit/],
  ['GET', '/v1/teams/TEAM/usage/events?cursor=1.x', undefined, 400, /invalid_cursor/],
  ['GET', `/v1/teams/TEAM/usage/events?cursor=99999999999999999.${unknownTeam}`, undefined, 400, /cursor/],
  ['GET', '/v1/teams/TEAM/usage/events?to=2026-02-30T00:00:00Z', undefined, 400, /query\.to/],
  ['GET', '/v1/teams/TEAM/ledger?cursor=1.1;drop', undefined, 400, /invalid_cursor/],
  ['GET', '/v1/teams/TEAM/ledger?from=', undefined, 400, /query\.from/],
  ['GET', '/v1/teams/TEAM/adjustments?cursor=7', undefined, 400, /invalid_cursor/],
  ['DELETE', '/v1/teams/TEAM/limits/members/nobody', undefined, 404, /unknown_limit/],
  ['POST', '/v1/teams/TEAM/balance', {}, 405, /GET/],
  ['GET', '/v1/nowhere', undefined, 404, /unknown_route/],
  ['DELETE', '/v1/users', undefined, 405, /POST/],
  ['GET', '/v1/teams/%E0%A4%A/balance', undefined, 400, /malformed_url/],
])(
  '%s %s with a wrong value is refused, and the value named (%#)',
  async (method, path, body, status, culprit) => {
    const before = await api.snapshot();
    const reply = await api.sendRaw(method, path.replace('TEAM', teamId), body === undefined ? {} : { body });
    expect(reply).toMatchObject({
      status,
      json: { status, code: expect.any(String), detail: expect.any(String) },
    });
    expect(JSON.stringify(reply.json)).toMatch(culprit);
    expect(await api.snapshot()).toBe(before);
  },
);

test('a wrong event of a batch does not affect the others', async () => {
  const event = { teamId, idempotencyKey: 'good', ...runs(1) };
  const { json } = await api.sendRaw('POST', '/v1/usage/batch', {
    body: {
      events: [
        { ...event, idempotencyKey: 'bad', quantities: { runs: -1 } },
        7,
        { ...event, teamId: unknownTeam },
        event,
        { ...runs(1), teamId },
        { ...event, quantities: { runs: 2 } },
        event,
      ],
    },
  });
  expect(json).toMatchObject({
    results: [
      { status: 422, code: 'invalid_request', errors: [{ path: 'quantities.runs' }] },
      { status: 422, code: 'invalid_request' },
      { status: 404, code: 'unknown_team' },
      { status: 201, action: 'workflow.run' },
      { status: 422, errors: [{ path: 'idempotencyKey' }] },
      { status: 409, code: 'idempotency_conflict' },
      { status: 201 },
    ],
  });
});

const timeParameters = routes.flatMap(({ method, path, request: { query } }) =>
  method === 'get'
    ? ['at', 'from', 'to'].filter((name) => query && name in query.shape).map((name) => [path, name])
    : [],
);

test('an event of a batch with text or nesting that cannot be stored does not affect the others', async () => {
  const good = JSON.stringify({ teamId, idempotencyKey: 'beside-hostile', ...runs(1) });
  const hostile = [
    JSON.stringify({ ...JSON.parse(good), idempotencyKey: 'nul', runId: 'a\0b' }),
    JSON.stringify({ ...JSON.parse(good), idempotencyKey: 'half', metadata: { prompt: '\ud83d' } }),
    good.replace('{', '{"__proto__":{"x":1},'),
    good.replace('{', '{"tags":{"__proto__":"x"},'),
    good.replace('{', '{"metadata":{"n":1e400},'),
    good.replace('{', `{"metadata":${'['.repeat(5_000)}${']'.repeat(5_000)},`),
    '['.repeat(5_000) + ']'.repeat(5_000),
    'null',
  ];
  const answer = await api.sendRaw('POST', '/v1/usage/batch', {
    body: `{"events":[${[...hostile, good].join(',')}]}`,
  });
  const refused = hostile.map(() => expect.objectContaining({ status: 422, code: 'invalid_request' }));
  const debited = expect.objectContaining({ status: 201, action: 'workflow.run' });
  expect(answer).toMatchObject({ status: 200, json: { results: [...refused, debited] } });
});

test.each(timeParameters)('%s?%s= accepts only times between 2000 and 2200', async (path, name) => {
  const outside = [
    '0000-01-01T00:00:00Z',
    '1999-12-31T23:59:59Z',
    '2000-01-01T00:00:00+00:01',
    '2201-01-01T00:00:00Z',
    '9999-12-31T23:59:59-23:59',
  ];
  for (const time of outside) {
    const target = `${path.replace('{teamId}', 'TEAM')}?${name}=${encodeURIComponent(time)}`;
    await expectRefusal(['GET', target, {}], 400, 'invalid_parameters', new RegExp(`query.${name}`));
  }
});

test('an adjustment whose credits expire outside 2000 to 2200 is refused', async () => {
  for (const expiresAt of ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59']) {
    const sending = { body: { credits: '+1', reason: 'a gift', expiresAt } };
    const request: [string, string, RawRequest] = ['POST', '/v1/teams/TEAM/adjustments', sending];
    await expectRefusal(request, 422, 'invalid_request', /expiresAt/);
  }
});
