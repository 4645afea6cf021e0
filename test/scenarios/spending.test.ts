import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { parseDecimal } from '../../catalog/credits.ts';
import { priceUsage } from '../../catalog/price-usage.ts';
import { readCatalog } from '../../catalog/versions.ts';
import { withClient } from '../../dev/postgres.ts';
import { createCreditOperations } from '../../ledger/spend/credit-operations.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, type StoryAnswer, startStory, until } from './story.ts';

let story: Story;
beforeAll(async () => {
  story = await startStory('2040-01-01T00:00:00Z');
});
afterEach(() => expectSoundLedger(story.database.pool));
afterAll(() => story.stop());

let people = 0;
const newTeam = () => {
  people += 1;
  return story.signUp(`person_${people}`);
};
/** One credit is two workflow runs. */
const usage = (credits: number) => ({ action: 'workflow.run', quantities: { runs: 2 * credits } });
const spend = (team: string, credits: number, key?: string) =>
  story.request('POST', `/v1/teams/${team}/usage`, usage(credits), key);
const available = async (team: string) => (await story.balance(team)).available;
const statuses = (answers: StoryAnswer[]) =>
  Object.fromEntries(
    [...Map.groupBy(answers, ({ status }) => status)].map(([status, all]) => [status, all.length]),
  );

test('200 spends at once on a balance that covers 100: exactly 100 succeed and nothing is left', async () => {
  const team = await newTeam();
  const answers = await Promise.all(Array.from({ length: 200 }, () => spend(team, 5)));
  expect(statuses(answers)).toEqual({ 201: 100, 402: 100 });
  expect(await available(team)).toBe('0');
  expect(answers.find(({ status }) => status === 402)?.body).toMatchObject({
    code: 'insufficient_credits',
    required: '5',
    available: '0',
  });
  const left = answers.flatMap(({ body }) =>
    body.balance ? [Number((body.balance as { available: string }).available)] : [],
  );
  expect(left.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index * 5));
});

test('the same key sent 50 times at once debits once and gets equal answers', async () => {
  const team = await newTeam();
  const answers = await Promise.all(Array.from({ length: 50 }, () => spend(team, 5, 'fifty')));
  expect(statuses(answers)).toEqual({ 201: 50 });
  for (const { body } of answers) expect(body).toEqual(answers[0]?.body);
  expect(await available(team)).toBe('495');
});

test('teams can use the same key independently', async () => {
  const [one, other] = [await newTeam(), await newTeam()];
  const answers = [await spend(one, 5, 'shared'), await spend(other, 5, 'shared')];
  expect(statuses(answers)).toEqual({ 201: 2 });
  expect(answers[0]?.body.id).not.toBe(answers[1]?.body.id);
});

test('expired credits cannot be spent, even before their transfer is written', async () => {
  const team = await newTeam();
  // Only the clock has moved: the workflow's timer has not fired.
  await story.clock.set(new Date('2040-01-30T23:59:59.999Z'));
  expect(await spend(team, 1)).toMatchObject({ status: 201 });
  await story.clock.set(new Date('2040-01-31T00:00:00.000Z'));
  expect(await spend(team, 1)).toMatchObject({ status: 402, body: { available: '0' } });
  expect(await story.balance(team)).toMatchObject({ available: '0', nextExpiry: null });
  const { rows } = await story.database.pool.query('select available from grants where team_id = $1', [team]);
  expect(rows).toEqual([{ available: '499000000' }]);
  await story.advanceTo('2040-01-31T00:00:01Z');
});

test('credits burn in order: the soonest expiry first, lifetime credits last', async () => {
  const team = await newTeam();
  await story.buy(team, 'pack_1000');
  await story.buy(team, 'starter_monthly'); // ends on 29 February, the trial on 1 March
  const paidBy = async (credits: number) => {
    const { body } = await spend(team, credits);
    return (body.grants as { source: string; credits: string }[]).map(
      ({ source, credits }) => `${source} ${credits}`,
    );
  };
  expect(await paidBy(1_900)).toEqual(['subscription 1900']);
  expect(await paidBy(200)).toEqual(['subscription 100', 'trial 100']);
  expect(await paidBy(401)).toEqual(['trial 400', 'purchase 1']);
  expect(await available(team)).toBe('999');
});

test('a batch answers each event on its own, in order within a team', async () => {
  const [one, other] = [await newTeam(), await newTeam()];
  const event = (teamId: string, key: string, credits: number, more = {}) => ({
    teamId,
    idempotencyKey: key,
    ...usage(credits),
    ...more,
  });
  const { results } = await story.call<{ results: { status: number; code?: string }[] }>(
    'POST',
    '/v1/usage/batch',
    {
      events: [
        event(one, 'a', 300),
        event(one, 'b', 300),
        event(other, 'a', 500),
        event(one, 'c', 200),
        event(one, 'a', 300),
        event(one, 'a', 1),
        event(one, 'd', 1, { action: 'magic' }),
        { teamId: one },
        event('01a206e4-3279-714c-b5cc-0030af98d86d', 'a', 1),
        event(other, 'b', 0.5),
      ],
    },
  );
  expect(results.map(({ status, code }) => code ?? status)).toEqual([
    201,
    'insufficient_credits',
    201,
    201,
    201,
    'idempotency_conflict',
    'unknown_action',
    'invalid_request',
    'unknown_team',
    'insufficient_credits',
  ]);
});

test('a team that is locked elsewhere stalls no other team, alone or in a batch, and continues when it is free', async () => {
  const [busy, other, third] = [await newTeam(), await newTeam(), await newTeam()];
  await withClient(story.ownerUrl, async (client) => {
    await client.query('begin');
    await client.query('select 1 from teams where id = $1 for update', [busy]);
    const waiting = spend(busy, 1);
    const batch = story.call<{ results: { status: number }[] }>('POST', '/v1/usage/batch', {
      events: [busy, third, busy].map((teamId, index) => ({
        teamId,
        idempotencyKey: `${index}`,
        ...usage(1),
      })),
    });
    for (let i = 0; i < 5; i++) expect(await spend(other, 1)).toMatchObject({ status: 201 });
    await until(async () => (await available(third)) === '499');
    expect(await available(busy)).toBe('500');
    await client.query('rollback');
    expect(await waiting).toMatchObject({ status: 201 });
    expect((await batch).results.map(({ status }) => status)).toEqual([201, 201, 201]);
  });
  expect(await available(busy)).toBe('497');
});

test('more locked teams than the server has connections stall no other team', async () => {
  const busy = await Promise.all(Array.from({ length: 25 }, newTeam));
  const free = await newTeam();
  await withClient(story.ownerUrl, async (client) => {
    await client.query('begin');
    await client.query('select 1 from teams where id = any($1::uuid[]) for update', [busy]);
    const waiting = Promise.all(busy.map((team) => spend(team, 1)));
    const passed = await Promise.race([
      spend(free, 1).then(({ status }) => status),
      new Promise((resolve) => setTimeout(resolve, 10_000, 'stalled')),
    ]);
    await client.query('rollback');
    expect(statuses(await waiting)).toEqual({ 201: 25 });
    expect(passed).toBe(201);
  });
});

test('a slow commit delays no other team', async () => {
  const [slow, other] = [await newTeam(), await newTeam()];
  await withClient(story.ownerUrl, async (client) => {
    await client.query('begin');
    await client.query('lock table holds in share mode'); // a hold cannot be committed now
    const waiting = story.request('POST', `/v1/teams/${slow}/holds`, {
      action: 'workflow.run',
      credits: '1',
    });
    const blocked = () =>
      client.query(`select from pg_locks where relation = 'holds'::regclass and not granted`);
    await until(async () => ((await blocked()).rowCount ?? 0) > 0);
    for (let i = 0; i < 5; i++) expect(await spend(other, 1)).toMatchObject({ status: 201 });
    await client.query('rollback');
    expect(await waiting).toMatchObject({ status: 201 });
  });
});

test('a write that Postgres refuses fails only for its caller, and does not affect the next commit', async () => {
  const [team, other] = [await newTeam(), await newTeam()];
  const { catalog, catalogVersion } = await readCatalog(story.database);
  const creditOperations = createCreditOperations(story.database);
  const spendInProcess = (teamId: string, metadata: Record<string, unknown>) =>
    creditOperations.spend({
      teamId,
      idempotencyKey: crypto.randomUUID(),
      bodyHash: Buffer.alloc(32),
      action: 'workflow.run',
      priced: priceUsage(catalog, 'workflow.run', { runs: parseDecimal('2') }),
      priceVersion: catalogVersion,
      metadata,
    });
  // The API refuses NUL, and jsonb cannot store it.
  const results = await Promise.allSettled([
    spendInProcess(team, { note: 'fine' }),
    spendInProcess(team, { note: '\u0000' }),
    spendInProcess(other, { note: 'fine' }),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  await spendInProcess(team, { note: 'after' });
  await creditOperations.close();
  expect([await available(team), await available(other)]).toEqual(['498', '499']);
});

test('a damaged hold fails only its own capture', async () => {
  const [team, other] = [await newTeam(), await newTeam()];
  const { catalog, catalogVersion } = await readCatalog(story.database);
  const priced = priceUsage(catalog, 'workflow.run', { runs: parseDecimal('2') });
  const creditOperations = createCreditOperations(story.database);
  const keyed = (teamId: string) => ({
    teamId,
    idempotencyKey: crypto.randomUUID(),
    bodyHash: Buffer.alloc(32),
  });
  const usage = { action: 'workflow.run', priceVersion: catalogVersion };
  const { id: holdId } = await creditOperations.hold({
    ...keyed(team),
    ...usage,
    credits: priced.credits,
    ttlMs: 60_000,
    maxTtlMs: 60_000,
    maxOpenHolds: 1,
  });
  const capture = () => creditOperations.capture({ ...keyed(team), holdId, priced });
  const exchangeDraws = (grant: string) =>
    withClient(story.ownerUrl, async (client) => {
      await client.query('set session_replication_role = replica'); // otherwise the database refuses it
      const { rows } = await client.query(
        `update hold_draws new set grant_id = $1 from hold_draws old
          where new.hold_id = $2 and old.hold_id = $2 returning old.grant_id as grant`,
        [grant, holdId],
      );
      return rows[0]?.grant;
    });
  const drawn = await exchangeDraws(crypto.randomUUID());
  const results = await Promise.allSettled([
    creditOperations.spend({ ...keyed(other), ...usage, priced }),
    capture(),
    creditOperations.spend({ ...keyed(other), ...usage, priced }),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  await exchangeDraws(drawn);
  await capture();
  await creditOperations.close();
  expect([await available(team), await available(other)]).toEqual(['499', '498']);
});

test('two teams with more operations than a commit holds do not delay a third team', async () => {
  const [busy, alsoBusy, third] = [await newTeam(), await newTeam(), await newTeam()];
  const { catalog, catalogVersion } = await readCatalog(story.database);
  const creditOperations = createCreditOperations(story.database);
  let done = 0;
  const spendInProcess = async (teamId: string) => {
    await creditOperations.spend({
      teamId,
      idempotencyKey: crypto.randomUUID(),
      bodyHash: Buffer.alloc(32),
      action: 'workflow.run',
      priced: priceUsage(catalog, 'workflow.run', { runs: parseDecimal('0.1') }),
      priceVersion: catalogVersion,
    });
    done += 1;
  };
  const all = [busy, alsoBusy].flatMap((team) => Array.from({ length: 1_500 }, () => spendInProcess(team)));
  await spendInProcess(third);
  expect(done).toBeLessThan(1_500);
  await Promise.all(all);
  await creditOperations.close();
});

test('a team that stays locked is refused for now, and uses no connections of other teams', async () => {
  const [busy, other] = [await newTeam(), await newTeam()];
  const adjust = (team: string) =>
    story.request('POST', `/v1/teams/${team}/adjustments`, { credits: '5', reason: 'goodwill' });
  await withClient(story.ownerUrl, async (client) => {
    await client.query('begin');
    await client.query('select 1 from teams where id = $1 for update', [busy]);
    const waiting = Promise.all(Array.from({ length: 11 }, () => adjust(busy)));
    expect(await adjust(other)).toMatchObject({ status: 201 });
    // Some wait for the lock without success. The number of concurrent requests of one team is limited before that.
    for (const answer of await waiting)
      expect(['503 team_busy', '429 too_many_requests']).toContain(`${answer.status} ${answer.body.code}`);
    await client.query('rollback');
  });
  expect(await adjust(busy)).toMatchObject({ status: 201 });
});
