import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { components } from '../../client/api-types.ts';
import { Debt } from '../../database/entities/debt.ts';
import { DebtChange } from '../../database/entities/debt-change.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { expectFiguresAddUp } from '../scenarios/sound-ledger.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { type RunningApi, startApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

type NewAdjustment = components['schemas']['NewAdjustment'];

let api: RunningApi;
let clock: SettableClock;
let teamId: string;
beforeAll(async () => {
  api = await startApi();
  clock = await settableClock(api.databaseUrl, new Date('2026-03-10T12:00:00Z'));
});
beforeEach(async () => {
  ({ teamId } = await api.person());
});
afterAll(async () => {
  await expectFiguresAddUp(api.database.pool).finally(() => api.stop());
});

test('a key is the same for every spelling of the ids in the path', async () => {
  const { teamId } = await api.person();
  const give = (path: string) =>
    api.sendRaw('POST', `/v1/${path}`, { key: 'spelt', body: { credits: '7', reason: 'goodwill' } });
  const first = await give(`teams/${teamId}/adjustments`);
  expect(first.status).toBe(201);
  for (const path of [
    `teams/${teamId.toUpperCase()}/adjustments`,
    `teams/%3${teamId.slice(0, 1)}${teamId.slice(1)}/adjustments`,
  ])
    expect(await give(path)).toMatchObject({ status: 201, json: first.json });
});

const adjust = (body: NewAdjustment, terms: { as?: string; key?: string } = {}) =>
  api.send('POST', `/v1/teams/${teamId}/adjustments`, { body, ...terms });
const balance = () => api.send('GET', `/v1/teams/${teamId}/balance`);

test('given credits are a separate grant, with who gave them and why', async () => {
  const { id, key } = await api.key('admin');
  const body = { credits: '+12.5', reason: ' An apology ', expiresAt: '2026-03-11T12:00:00+01:00' };
  const reply = await adjust(body, { as: key });
  expect(reply).toMatchObject({
    status: 201,
    json: {
      id: expect.any(String),
      credits: '12.5',
      reason: 'An apology',
      by: `service:${id}`,
      grants: [{ source: 'adjustment', credits: '12.5' }],
      balance: { available: '12.5' },
    },
  });
  expect(await balance()).toMatchObject({
    json: {
      bySource: { adjustment: '12.5' },
      grants: [{ source: 'adjustment', granted: '12.5', expiresAt: '2026-03-11T11:00:00.000Z' }],
      nextExpiry: { at: '2026-03-11T11:00:00.000Z', credits: '12.5' },
    },
  });
  const list = await api.send('GET', `/v1/teams/${teamId}/adjustments`, { as: key });
  const adjustment = idOf(reply);
  expect(list.json).toEqual({
    data: [
      {
        id: adjustment,
        credits: '12.5',
        reason: 'An apology',
        by: `service:${id}`,
        expiresAt: '2026-03-11T11:00:00.000Z',
        createdAt: '2026-03-10T12:00:00.000Z',
      },
    ],
    nextCursor: null,
  });
});

test('credits are taken in burn order: the soonest expiry first', async () => {
  await api.give(teamId, '10');
  await adjust({ credits: 5, reason: 'a gift', expiresAt: '2026-04-01T00:00:00Z' });
  expect(await adjust({ credits: '-7.25', reason: 'a mistake' })).toMatchObject({
    status: 201,
    json: {
      credits: '-7.25',
      grants: [
        { source: 'adjustment', credits: '5' },
        { source: 'purchase', credits: '2.25' },
      ],
      balance: { available: '7.75' },
    },
  });
  expect(await balance()).toMatchObject({
    json: { available: '7.75', grants: [{ source: 'purchase', revoked: '2.25' }, { revoked: '5' }] },
  });
});

test('no more than the available credits can be taken, and no held or expired ones', async () => {
  await api.give(teamId, '10');
  await adjust({ credits: 5, reason: 'a gift', expiresAt: '2026-03-10T12:00:00.001Z' });
  await clock.set(new Date('2026-03-10T12:00:00.001Z'));
  const hold = { action: 'workflow.run', credits: 4 };
  await api.send('POST', `/v1/teams/${teamId}/holds`, { body: hold });
  const before = await api.snapshot();
  expect(await adjust({ credits: -7, reason: 'too much' })).toMatchObject(
    refusal(402, 'insufficient_credits', { required: '7', available: '6' }),
  );
  expect(await api.snapshot()).toBe(before);
  expect(await api.send('GET', `/v1/teams/${teamId}/adjustments`)).toMatchObject({
    json: { data: [{ credits: '5' }] },
  });
});

test('a key adjusts once, concurrently and later, with the same answer', async () => {
  const body = { credits: 5, reason: 'a gift', expiresAt: '2026-03-20T00:00:00Z' };
  const replies = await Promise.all(Array.from({ length: 8 }, () => adjust(body, { key: 'gift' })));
  await clock.set(new Date('2026-03-25T00:00:00Z'));
  replies.push(await adjust(body, { key: 'gift' }));
  for (const { status, json } of replies) expect([status, json]).toEqual([201, replies[0]?.json]);
  expect(await balance()).toMatchObject({ json: { available: '0', grants: [{ granted: '5' }] } });
  expect(await adjust({ ...body, credits: 6 }, { key: 'gift' })).toMatchObject(
    refusal(409, 'idempotency_conflict'),
  );
});

test('given credits settle the team’s debts', async () => {
  await api.database.transaction(async (em) => {
    const { team } = await lockLivingTeam(em, teamId);
    team.hasDebts = true;
    const debt = { key: `order:order-${teamId}`, teamId, owed: 3_000_000n, settled: 0n };
    em.persist(em.create(Debt, { ...debt, lifetime: true, createdAt: clock.now() }));
    await em.flush();
    em.persist(em.create(DebtChange, { ...debt, at: clock.now() }));
  });
  expect(await adjust({ credits: 5, reason: 'a gift' })).toMatchObject({
    status: 201,
    json: { grants: [{ credits: '5' }], balance: { available: '2' } },
  });
  expect(await balance()).toMatchObject({ json: { debt: '0', grants: [{ settled: '3', available: '2' }] } });
});

test('adjustments are listed newest first, page by page', async () => {
  for (const credits of [1, 2, 3]) await adjust({ credits, reason: `gift ${credits}` });
  const pages = await Array.fromAsync(api.pages(`/v1/teams/${teamId}/adjustments?limit=2`));
  expect(pages).toMatchObject([[{ reason: 'gift 3' }, { reason: 'gift 2' }], [{ reason: 'gift 1' }]]);
});

test('only a service with the scope admin makes and reads adjustments', async () => {
  const { token, teamId: theirs } = await api.person();
  teamId = theirs;
  const { key } = await api.key('usage', 'billing', 'onboarding');
  for (const as of [token, key]) {
    expect(await adjust({ credits: 5, reason: 'x' }, { as })).toMatchObject({ status: 403 });
    expect(await api.send('GET', `/v1/teams/${teamId}/adjustments`, { as })).toMatchObject({ status: 403 });
  }
});

test.each<[string, unknown, RegExp, string?]>([
  ['no credits', { credits: 0, reason: 'x' }, /credits/],
  ['no credits in text', { credits: '-0.000000', reason: 'x' }, /credits/],
  ['7 decimals', { credits: '1.0000001', reason: 'x' }, /credits/],
  ['20 digits', { credits: '-12345678901234567890', reason: 'x' }, /credits/],
  ['a fraction as a number', { credits: 0.5, reason: 'x' }, /credits/],
  ['an exponent', { credits: '1e3', reason: 'x' }, /credits/],
  ['two signs', { credits: '+-1', reason: 'x' }, /credits/],
  ['1e400', '{"credits":1e400,"reason":"x"}', /credits/],
  ['no reason', { credits: 1 }, /reason/],
  ['an empty reason', { credits: 1, reason: ' ' }, /reason/],
  ['a long reason', { credits: 1, reason: 'x'.repeat(501) }, /reason/],
  ['an expiry that is none', { credits: 1, reason: 'x', expiresAt: 'soon' }, /expiresAt/],
  ['an expiry without a zone', { credits: 1, reason: 'x', expiresAt: '2030-01-01T00:00:00' }, /expiresAt/],
  [
    'a past expiry',
    { credits: 1, reason: 'x', expiresAt: '2020-01-01T00:00:00Z' },
    /after/,
    'expires_in_the_past',
  ],
  ['an expiry of taking', { credits: -1, reason: 'x', expiresAt: '2030-01-01T00:00:00Z' }, /expiresAt/],
  ['an unknown field', { credits: 1, reason: 'x', actor: 'me' }, /actor/],
  ['nothing', undefined, /body/],
])('an adjustment with %s is refused and says why', async (_, body, culprit, code = 'invalid_request') => {
  await api.give(teamId, '10');
  const before = await api.snapshot();
  const reply = await api.sendRaw('POST', `/v1/teams/${teamId}/adjustments`, { body });
  expect(reply).toMatchObject({ status: 422, json: { code } });
  expect(JSON.stringify(reply.json)).toMatch(culprit);
  expect(await api.snapshot()).toBe(before);
});

test('no team gets more credits than can be counted', async () => {
  expect(await adjust({ credits: '999999999999', reason: 'x' })).toMatchObject({ status: 201 });
  expect(await adjust({ credits: 1, reason: 'x' })).toMatchObject(refusal(422, 'balance_too_large'));
});
