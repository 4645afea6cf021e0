import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { publishCatalog } from '../../catalog/versions.ts';
import { Debt } from '../../database/entities/debt.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { sweepHolds } from '../../ledger/spend/sweep-holds.ts';
import { expectFiguresAddUp } from '../scenarios/sound-ledger.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { defaultCatalog as catalog } from '../setup/default-catalog.ts';
import { type RunningApi, startApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const start = new Date('2026-03-10T12:00:00Z');
const minutes = 60_000;
const hours = 60 * minutes;

let api: RunningApi;
let clock: SettableClock;
let teamId: string;
beforeAll(async () => {
  api = await startApi();
  clock = await settableClock(api.databaseUrl, start);
});
beforeEach(async () => {
  ({ teamId } = await api.person());
});
afterAll(async () => {
  await expectFiguresAddUp(api.database.pool).finally(() => api.stop());
});

const later = (milliseconds: number) => clock.set(new Date(clock.now().getTime() + milliseconds));
const hold = (body: object, key?: string) =>
  api.send('POST', `/v1/teams/${teamId}/holds`, {
    body: { action: 'model.gpt-5', ...body },
    ...(key ? { key } : {}),
  });
const onHold = (id: string, what: string, body?: object, key?: string) =>
  api.send('POST', `/v1/holds/${id}/${what}`, { body, ...(key ? { key } : {}) });
const spend = (runs: number | string, rest: object = {}) =>
  api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { action: 'workflow.run', quantities: { runs }, ...rest },
  });
const held = async (credits: string, rest: object = {}) => idOf(await hold({ credits, ...rest }));

/** Credits that expire after this many milliseconds. */
async function giveExpiring(credits: string, life: number): Promise<void> {
  const expiresAt = new Date(clock.now().getTime() + life).toISOString();
  const body = { credits, reason: 'for a test', expiresAt };
  expect(await api.send('POST', `/v1/teams/${teamId}/adjustments`, { body })).toMatchObject({ status: 201 });
}

async function expectBalance(balance: object): Promise<void> {
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({ status: 200, json: balance });
}

test('held credits cannot be spent; a hold by quantities holds the price of the usage', async () => {
  await api.give(teamId, '10');
  const reply = await hold({ quantities: { output_tokens: 5000 }, ttlSeconds: 60 });
  expect(reply).toMatchObject({
    status: 201,
    json: {
      id: expect.any(String),
      credits: '6',
      expiresAt: new Date(clock.now().getTime() + minutes).toISOString(),
    },
  });
  await expectBalance({ available: '4', held: '6' });
  expect(await spend(10)).toMatchObject(
    refusal(402, 'insufficient_credits', { required: '5', available: '4' }),
  );
  expect(await hold({ credits: '4.000001' })).toMatchObject(
    refusal(402, 'insufficient_credits', { required: '4.000001', available: '4' }),
  );
});

test('without a given lifetime a hold lives as long as the catalog says', async () => {
  await api.give(teamId, '10');
  const reply = await hold({ credits: 1 });
  expect(reply).toMatchObject({
    json: { expiresAt: new Date(clock.now().getTime() + 15 * minutes).toISOString() },
  });
});

test.each([
  ['less', '2', '8'],
  ['the same', '6', '4'],
  ['more', '9', '1'],
])('a capture for %s than the held credits debits exactly that', async (_, credits, left) => {
  await api.give(teamId, '10');
  const id = await held('6');
  const reply = await onHold(id, 'capture', { credits });
  expect(reply).toMatchObject({
    status: 201,
    json: {
      action: 'model.gpt-5',
      credits,
      lines: [{ meter: 'credits', quantity: credits, unitPrice: '1', credits }],
      grants: [{ source: 'purchase', credits }],
      priceVersion: 1,
      holdId: id,
      balance: { available: left },
    },
  });
  await expectBalance({ available: left, held: '0' });
});

test('a capture for more than the balance is refused, and the hold stays', async () => {
  await api.give(teamId, '10');
  const id = await held('6');
  expect(await onHold(id, 'capture', { credits: '10.5' }, 'again')).toMatchObject(
    refusal(402, 'insufficient_credits', { required: '10.5', available: '10' }),
  );
  await expectBalance({ available: '4', held: '6' });
  await api.give(teamId, '1');
  expect(await onHold(id, 'capture', { credits: '10.5' }, 'again')).toMatchObject({
    status: 201,
    json: { balance: { available: '0.5' } },
  });
});

test('a hold is captured once: the same amount gets the same answer again, another one is a conflict', async () => {
  await api.give(teamId, '10');
  const id = await held('6');
  const first = await onHold(id, 'capture', { quantities: { output_tokens: 5000 } }, 'first');
  expect(first).toMatchObject({ status: 201, json: { credits: '6' } });
  await later(30 * hours);
  for (const key of ['first', 'second']) {
    const again = await onHold(id, 'capture', { quantities: { output_tokens: 5000 } }, key);
    expect(again).toMatchObject({ status: 201 });
    expect(again.json).toEqual(first.json);
  }
  expect(await onHold(id, 'capture', { credits: '5' })).toMatchObject(refusal(409, 'hold_captured'));
  for (const what of ['release', 'extend']) {
    const body = what === 'extend' ? { ttlSeconds: 60 } : undefined;
    expect(await onHold(id, what, body)).toMatchObject(refusal(409, 'hold_captured'));
  }
  await expectBalance({ available: '4', held: '0' });
});

test('of many concurrent captures one debits and the others return its receipt', async () => {
  await api.give(teamId, '10');
  const id = await held('6');
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => onHold(id, 'capture', { credits: '7' })),
  );
  expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(201));
  for (const { json } of replies) expect(json).toEqual(replies[0]?.json);
  await expectBalance({ available: '3', held: '0' });
});

test('a released hold returns all its credits, and can be released again but not captured', async () => {
  await api.give(teamId, '10');
  const id = await held('6');
  const first = await onHold(id, 'release', undefined, 'release');
  expect(first).toMatchObject({ status: 200, json: { id, status: 'released', credits: '6' } });
  await expectBalance({ available: '10', held: '0' });
  await later(30 * hours);
  expect((await onHold(id, 'release', undefined, 'release')).json).toEqual(first.json);
  expect(await onHold(id, 'release')).toMatchObject({ status: 200 });
  expect(await onHold(id, 'capture', { credits: '6' })).toMatchObject(refusal(409, 'hold_released'));
});

test.each([
  ['not swept', false],
  ['swept', true],
])('at its expiry a hold is over, %s', async (_, swept) => {
  await api.give(teamId, '10');
  const id = await held('6', { ttlSeconds: 60 });
  await later(minutes);
  if (swept) {
    expect(
      await sweepHolds(api.database, api.dependencies.creditOperations, { batchSize: 1_000 }),
    ).toBeGreaterThan(0);
    await expectBalance({ available: '10', held: '0' });
  }
  for (const [what, body] of [
    ['capture', { credits: '6' }],
    ['release', undefined],
    ['extend', { ttlSeconds: 60 }],
  ] as const) {
    expect(await onHold(id, what, body)).toMatchObject(refusal(409, 'hold_expired'));
  }
});

test('an extension counts from now, never shortens, and ends at most a day after the hold began', async () => {
  await api.give(teamId, '10');
  const id = await held('6', { ttlSeconds: 600 });
  const made = clock.now().getTime();
  const expiry = (milliseconds: number) => ({
    status: 200,
    json: { expiresAt: new Date(made + milliseconds).toISOString() },
  });
  expect(await onHold(id, 'extend', { ttlSeconds: 60 })).toMatchObject(expiry(10 * minutes));
  await later(9 * minutes);
  const first = await onHold(id, 'extend', { ttlSeconds: 3600 }, 'extend');
  expect(first).toMatchObject(expiry(69 * minutes));
  await later(59 * minutes);
  expect((await onHold(id, 'extend', { ttlSeconds: 3600 }, 'extend')).json).toEqual(first.json);
  expect(await onHold(id, 'extend', { ttlSeconds: 86_400 })).toMatchObject(
    refusal(422, 'hold_too_long', { latestExpiry: new Date(made + 24 * hours).toISOString() }),
  );
});

test('an extension can reach the maximum lifetime exactly', async () => {
  await api.give(teamId, '10');
  const id = await held('6');
  await later(minutes);
  const rest = (24 * hours - minutes) / 1_000;
  expect(await onHold(id, 'extend', { ttlSeconds: rest + 1 })).toMatchObject({ status: 422 });
  expect(await onHold(id, 'extend', { ttlSeconds: rest })).toMatchObject({ status: 200 });
  expect(await hold({ credits: 1, ttlSeconds: 86_401 })).toMatchObject(
    refusal(422, 'hold_too_long', { longestSeconds: 86_400 }),
  );
});

test('a captured hold draws on a grant that has expired meanwhile, and the rest of it expires', async () => {
  await giveExpiring('6', 10 * minutes);
  await api.give(teamId, '10');
  const id = await held('8', { ttlSeconds: 3600 });
  await later(10 * minutes);
  await expectBalance({ available: '8', held: '8' });
  expect(await onHold(id, 'capture', { credits: '5' })).toMatchObject({
    status: 201,
    json: { grants: [{ source: 'adjustment', credits: '5' }], balance: { available: '10' } },
  });
  await expectBalance({ available: '10', held: '0', bySource: { adjustment: '0', purchase: '10' } });
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({
    json: { grants: [{ source: 'purchase' }, { source: 'adjustment', consumed: '5', expired: '1' }] },
  });
});

test('released credits of an expired grant expire', async () => {
  await giveExpiring('6', 10 * minutes);
  const id = await held('6', { ttlSeconds: 3600 });
  await later(10 * minutes);
  expect(await onHold(id, 'release')).toMatchObject({ status: 200 });
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({
    json: { available: '0', held: '0', grants: [{ expired: '6' }] },
  });
});

test('held credits are captured in burn order', async () => {
  await api.give(teamId, '3');
  await giveExpiring('3', 10 * hours);
  const id = await held('6');
  expect(await onHold(id, 'capture', { credits: '4' })).toMatchObject({
    json: {
      grants: [
        { source: 'adjustment', credits: '3' },
        { source: 'purchase', credits: '1' },
      ],
    },
  });
  await expectBalance({ available: '2', bySource: { purchase: '2', adjustment: '0' } });
});

test('a spend without enough credits first releases lapsed holds', async () => {
  await api.give(teamId, '10');
  const id = await held('9', { ttlSeconds: 60 });
  await held('1', { ttlSeconds: 3600 });
  await later(minutes);
  expect(await spend(18)).toMatchObject({ status: 201, json: { credits: '9', balance: { available: '0' } } });
  expect(await spend(1)).toMatchObject({ status: 402 });
  expect(await onHold(id, 'capture', { credits: '1' })).toMatchObject({ json: { code: 'hold_expired' } });
});

test('two concurrent sweeps release each lapsed hold once', async () => {
  await api.give(teamId, '30');
  const ids = await Promise.all(Array.from({ length: 30 }, () => held('1', { ttlSeconds: 60 })));
  await later(minutes);
  const sweep = () => sweepHolds(api.database, api.dependencies.creditOperations, { batchSize: 1_000 });
  await Promise.all([sweep(), sweep()]);
  expect(await sweep()).toBe(0);
  await expectBalance({ available: '30', held: '0' });
  const { rows } = await api.database.pool.query(
    `select reference, count(*)::int as times from transfers where kind = 'release' and reference = any($1) group by 1`,
    [ids.map((id) => `hold:${id}`)],
  );
  expect(rows).toHaveLength(30);
  expect(rows.filter(({ times }) => times !== 1)).toEqual([]);
});

test('of a capture and a concurrent sweep at the expiry only one succeeds', async () => {
  await api.give(teamId, '20');
  const ids = await Promise.all(Array.from({ length: 20 }, () => held('1', { ttlSeconds: 60 })));
  await later(minutes - 1);
  const captures = ids.map((id) => onHold(id, 'capture', { credits: '1' }));
  const [replies] = await Promise.all([
    Promise.all(captures),
    later(1).then(() => sweepHolds(api.database, api.dependencies.creditOperations, { batchSize: 1_000 })),
  ]);
  const captured = replies.filter(({ status }) => status === 201).length;
  for (const reply of replies) {
    if (reply.status !== 201) expect(reply).toMatchObject(refusal(409, 'hold_expired'));
  }
  await sweepHolds(api.database, api.dependencies.creditOperations, { batchSize: 1_000 });
  await expectBalance({ available: String(20 - captured), held: '0' });
});

test('released credits settle a waiting debt', async () => {
  await api.give(teamId, '10');
  const [{ debt_key: key }] = (
    await api.database.pool.query(
      `update grants set debt_key = business_key where team_id = $1 returning debt_key`,
      [teamId],
    )
  ).rows;
  const id = await held('6');
  await spend(8);
  // A refund of the whole order: 4 were spent and 6 are held, so 10 are owed.
  await api.database.transaction(async (em) => {
    const { team } = await lockLivingTeam(em, teamId);
    team.hasDebts = true;
    const facts = { key, teamId, lifetime: true, createdAt: clock.now() };
    em.persist(em.create(Debt, { ...facts, owed: 10_000_000n, settled: 0n }));
  });
  expect(await onHold(id, 'capture', { credits: '1' })).toMatchObject({
    status: 201,
    json: { balance: { available: '0' } },
  });
  await expectBalance({ available: '0', held: '0', debt: '5' });
  await expectBalance({ grants: [{ consumed: '5', revoked: '5' }] });
});

test('a key belongs to one request for one hold', async () => {
  await api.give(teamId, '20');
  const [one, other] = [await held('2'), await held('2')];
  const conflict = refusal(409, 'idempotency_conflict');
  expect(await onHold(one, 'capture', { credits: '2' }, 'shared')).toMatchObject({ status: 201 });
  expect(await onHold(other, 'capture', { credits: '2' }, 'shared')).toMatchObject(conflict);
  expect(await onHold(one, 'capture', { credits: '1' }, 'shared')).toMatchObject(conflict);
  expect(await onHold(other, 'release', undefined, 'shared')).toMatchObject(conflict);
  expect(await onHold(other, 'extend', { ttlSeconds: 60 }, 'shared')).toMatchObject(conflict);

  const body = { action: 'workflow.run', quantities: { runs: 2 } };
  for (const [first, second] of [
    ['usage', 'holds'],
    ['holds', 'usage'],
  ]) {
    const key = randomUUID();
    expect(await api.send('POST', `/v1/teams/${teamId}/${first}`, { body, key })).toMatchObject({
      status: 201,
    });
    expect(await api.send('POST', `/v1/teams/${teamId}/${second}`, { body, key })).toMatchObject(conflict);
  }
});

test('only services that may report usage can use holds', async () => {
  await api.give(teamId, '10');
  const id = await held('6');
  const { token } = await api.person();
  const { key } = await api.key('billing');
  for (const as of [token, key]) {
    expect(await api.send('POST', `/v1/holds/${id}/release`, { as })).toMatchObject({ status: 403 });
    expect(
      await api.send('POST', `/v1/teams/${teamId}/holds`, { as, body: { action: 'web.page', credits: 1 } }),
    ).toMatchObject({ status: 403 });
  }
  const usage = await api.key('usage');
  expect(await api.send('POST', `/v1/holds/${id}/release`, { as: usage.key })).toMatchObject({ status: 200 });
});

test('a hold and its capture keep their prices, even if the action is archived meanwhile', async () => {
  await api.give(teamId, '100');
  const usage = { action: 'web.page', quantities: { pages: 10 } };
  const path = `/v1/teams/${teamId}/usage`;
  const spent = await api.send('POST', path, { body: usage, key: 'spend' });
  const first = await hold(usage, 'hold');
  expect(first).toMatchObject({ status: 201, json: { credits: '2' } });

  const prices = catalog.prices.map((price) =>
    price.action === 'web.page' ? { ...price, archived: true } : price,
  );
  await publishCatalog(api.database, { ...catalog, prices });
  const archived = refusal(422, 'unknown_action');
  // A process uses the new version within a second.
  while ((await api.send('POST', path, { body: usage })).status === 201) await setTimeout(50);

  expect((await api.send('POST', path, { body: usage, key: 'spend' })).json).toEqual(spent.json);
  expect((await hold(usage, 'hold')).json).toEqual(first.json);
  expect(await hold(usage, 'another')).toMatchObject(archived);
  expect(await hold({ ...usage, ttlSeconds: 60 }, 'hold')).toMatchObject(archived);
  expect(await onHold(idOf(first), 'capture', { quantities: { pages: 11 } })).toMatchObject({
    status: 201,
    json: { credits: '2.2', priceVersion: 1 },
  });
});

test('a capture of 0 ends the hold, returns all its credits and has a receipt of 0, once', async () => {
  await api.give(teamId, '10');
  for (const nothing of [{ quantities: { input_tokens: 0, output_tokens: '0' } }, { credits: 0 }]) {
    const id = await held('6');
    const first = await onHold(id, 'capture', nothing, `nothing-of-${id}`);
    expect(first).toMatchObject({
      status: 201,
      json: { credits: '0', grants: [], holdId: id, balance: { available: '10' } },
    });
    await expectBalance({ available: '10', held: '0' });
    for (const key of [`nothing-of-${id}`, randomUUID()])
      expect((await onHold(id, 'capture', nothing, key)).json).toEqual(first.json);
    expect(await onHold(id, 'capture', { credits: 1 })).toMatchObject(refusal(409, 'hold_captured'));
    expect(await onHold(id, 'release')).toMatchObject(refusal(409, 'hold_captured'));
  }
});

test('a hold of 0 holds no credits, even if a team has none, and can be captured for more', async () => {
  const id = idOf(await hold({ quantities: { input_tokens: 0 } }, 'nothing'));
  expect((await hold({ quantities: { input_tokens: 0 } }, 'nothing')).json).toMatchObject({
    id,
    credits: '0',
  });
  await expectBalance({ available: '0', held: '0' });
  expect(await onHold(id, 'extend', { ttlSeconds: 3_600 })).toMatchObject({ status: 200 });
  expect(await onHold(id, 'capture', { credits: 2 })).toMatchObject(
    refusal(402, 'insufficient_credits', { required: '2', available: '0' }),
  );
  await api.give(teamId, '10');
  expect(await onHold(id, 'capture', { credits: 2 })).toMatchObject({
    status: 201,
    json: { credits: '2', balance: { available: '8' } },
  });
  expect(await onHold(await held('0'), 'release')).toMatchObject({
    status: 200,
    json: { status: 'released', credits: '0' },
  });
  const lapsing = await held('0', { ttlSeconds: 60 });
  await later(minutes);
  await sweepHolds(api.database, api.dependencies.creditOperations, { batchSize: 1_000 });
  expect(await onHold(lapsing, 'capture', { credits: 0 })).toMatchObject(refusal(409, 'hold_expired'));
  await expectBalance({ available: '8', held: '0' });
});

const aHold = { action: 'workflow.run', credits: 1 };
test.each<[string, string, unknown, RegExp, number?, string?]>([
  ['both', 'hold', { ...aHold, quantities: { runs: 1 } }, /either quantities or credits/],
  ['neither', 'hold', { action: 'workflow.run' }, /either quantities or credits/],
  ['negative credits', 'hold', { ...aHold, credits: '-1' }, /credits/],
  ['7 decimals', 'hold', { ...aHold, credits: '1.0000001' }, /credits/],
  ['20 digits', 'hold', { ...aHold, credits: '12345678901234567890' }, /credits/],
  ['1e400', 'hold', '{"action":"workflow.run","credits":1e400}', /credits/],
  ['NaN', 'hold', '{"action":"workflow.run","credits":NaN}', /JSON/, 400, 'malformed_json'],
  ['an unknown action', 'hold', { ...aHold, action: 'model.none' }, /model\.none/, 422, 'unknown_action'],
  ['an unknown meter', 'hold', { action: 'workflow.run', quantities: { a: 1 } }, /a/, 422, 'unknown_meter'],
  ['no life', 'hold', { ...aHold, ttlSeconds: 0 }, /ttlSeconds/],
  ['half a second', 'hold', { ...aHold, ttlSeconds: 0.5 }, /ttlSeconds/],
  ['a life in text', 'hold', { ...aHold, ttlSeconds: '60' }, /ttlSeconds/],
  ['an endless life', 'hold', { ...aHold, ttlSeconds: 1e15 }, /ttlSeconds/],
  ['a wrong member', 'hold', { ...aHold, memberId: 'a b' }, /memberId/],
  ['an unknown field', 'hold', { ...aHold, price: 0 }, /price/],
  ['both', 'capture', { credits: 1, quantities: { runs: 1 } }, /either/],
  ['nothing', 'capture', {}, /either/],
  ['no body', 'capture', undefined, /body/],
  ['negative credits', 'capture', { credits: '-1' }, /credits/],
  ['negative quantities', 'capture', { quantities: { runs: -1 } }, /quantities\.runs/],
  ['an unknown meter', 'capture', { quantities: { walks: 1 } }, /walks/, 422, 'unknown_meter'],
  [
    'too much',
    'capture',
    { quantities: { output_tokens: 2 ** 53 - 1 } },
    /output_tokens/,
    422,
    'quantity_too_large',
  ],
  ['much metadata', 'capture', { credits: 1, metadata: { x: 'y'.repeat(5_000) } }, /metadata/],
  ['no life', 'extend', {}, /ttlSeconds/],
  ['a negative life', 'extend', { ttlSeconds: -60 }, /ttlSeconds/],
  ['an endless life', 'extend', { ttlSeconds: Number.MAX_SAFE_INTEGER }, /ttlSeconds/],
])(
  '%s in a request to %s is refused by name',
  async (_, what, body, culprit, status = 422, code = 'invalid_request') => {
    await api.give(teamId, '10');
    const id = await held('1');
    const before = await api.snapshot();
    const path = what === 'hold' ? `/v1/teams/${teamId}/holds` : `/v1/holds/${id}/${what}`;
    const reply = await api.sendRaw('POST', path, { body });
    expect(reply).toMatchObject({ status, json: { code } });
    expect(JSON.stringify(reply.json)).toMatch(culprit);
    expect(await api.snapshot()).toBe(before);
  },
);

test.each(['capture', 'release', 'extend'])(
  '%s tells an unknown hold from one that cannot be',
  async (what) => {
    const body = { capture: { credits: 1 }, extend: { ttlSeconds: 60 } }[what];
    const unknown = randomUUID();
    expect(await onHold(unknown, what, body)).toMatchObject(refusal(404, 'unknown_hold'));
    expect(await onHold('17', what, body)).toMatchObject(refusal(400, 'invalid_parameters'));
  },
);

// The last test, because its broken hold stays.
test('a hold that cannot be released does not keep a sweep from those that lapsed later', async () => {
  await api.give(teamId, '10');
  const broken = await held('1', { ttlSeconds: 60 });
  await held('2', { ttlSeconds: 120 });
  await held('3', { ttlSeconds: 120 });
  await api.database.pool.query(
    'insert into hold_draws (hold_id, grant_id, credits) values ($1, gen_random_uuid(), 1)',
    [broken],
  );
  await later(5 * minutes);
  const sweep = sweepHolds(api.database, api.dependencies.creditOperations, { batchSize: 1 });
  await expect(sweep).rejects.toThrow(/^1 lapsed hold/);
  await expectBalance({ available: '9', held: '1' });
});
