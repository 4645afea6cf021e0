import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MICRO } from '../../catalog/credits.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { DomainError } from '../../domain-error.ts';
import { announceExpiringCredits } from '../../ledger/lifecycle/announce-expiring-credits.ts';
import { expireCredits } from '../../ledger/lifecycle/expire-credits.ts';
import { grantCredits } from '../../ledger/lifecycle/grant-credits.ts';
import { reviewTeamAlerts } from '../../ledger/lifecycle/review-team-alerts.ts';
import { setAlerts } from '../../ledger/lifecycle/set-alerts.ts';
import { type CreditOperations, createCreditOperations } from '../../ledger/spend/credit-operations.ts';
import { setLimit } from '../../ledger/spend/set-limit.ts';
import { checkAlerts } from '../../ledger/verify/check-alerts.ts';
import { verifyLedger } from '../../ledger/verify/verify-ledger.ts';
import { messageData } from '../../outbox/messages.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { insertTeam } from '../setup/insert-team.ts';

const day = 86_400_000;
const start = new Date('2026-03-10T12:00:00Z');

let testDatabase: TestDatabase;
let database: Database;
let operations: CreditOperations;
let clock: SettableClock;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await testDatabase.connect({ pool: 6 });
  await publishCatalog(database, defaultCatalog);
  operations = createCreditOperations(database);
  clock = await settableClock(testDatabase.url, start);
});
afterAll(async () => {
  await operations.close();
  await testDatabase.drop();
});

const credits = (amount: number) => BigInt(amount) * MICRO;

async function newTeam(lowBalance?: string[]): Promise<string> {
  const teamId = await insertTeam(database.pool);
  if (lowBalance) await database.transaction((em) => setAlerts(em, teamId, lowBalance));
  return teamId;
}

/** Grants credits. `reviewed`: whether the transaction also reviews the alerts, or leaves it to the next commit. */
async function give(
  teamId: string,
  amount: number,
  { lifeMs = null as number | null, reviewed = true } = {},
) {
  await database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, teamId);
    const expiresAt = lifeMs === null ? null : new Date(now.getTime() + lifeMs);
    const terms = { credits: credits(amount), effectiveAt: now, expiresAt, catalogVersion: 1 };
    await grantCredits(
      em,
      { teamId, source: 'purchase', businessKey: `order:${randomUUID()}`, ...terms },
      now,
    );
    if (reviewed) await reviewTeamAlerts(em, teamId, now);
  });
}

const keyed = (teamId: string, idempotencyKey: string = randomUUID()) => {
  return { teamId, idempotencyKey, bodyHash: Buffer.alloc(32) };
};
const price = (amount: number) => ({ lines: [], credits: credits(amount) });
const spend = (teamId: string, amount: number, rest: { apiKeyId?: string; idempotencyKey?: string } = {}) =>
  operations.spend({
    ...keyed(teamId, rest.idempotencyKey),
    ...(rest.apiKeyId ? { apiKeyId: rest.apiKeyId } : {}),
    action: 'test',
    priced: price(amount),
    priceVersion: 1,
  });
const hold = (teamId: string, amount: number) =>
  operations.hold({
    ...keyed(teamId),
    ...{ action: 'test', credits: credits(amount), priceVersion: 1 },
    ...{ ttlMs: day, maxTtlMs: day, maxOpenHolds: 100 },
  });
const release = (teamId: string, holdId: string) => operations.release({ ...keyed(teamId), holdId });

/** The team's messages of some types in order, each with its type. Their data match their schemas. */
async function messages(teamId: string, ...types: (keyof typeof messageData)[]) {
  const { rows } = await database.pool.query<{ type: keyof typeof messageData; data: object }>(
    'select type, data from outbox where team_id = $1 and ($2 = 0 or type = any($3)) order by seq',
    [teamId, types.length, types],
  );
  return rows.map(({ type, data }) => {
    const { teamId: _, ...rest } = messageData[type].parse(data) as { teamId: string };
    return { type, ...rest };
  });
}
const alertsOf = (teamId: string) => messages(teamId, 'credits.low', 'credits.exhausted');
const low = (available: string, ...thresholds: [string, string][]) => ({
  type: 'credits.low',
  available,
  thresholds: thresholds.map(([threshold, amount]) => ({ threshold, credits: amount })),
});
const exhausted = (available: string) => ({ type: 'credits.exhausted', available });

test('by default a team is alerted at 20 % and at 5 % of its balance after credits last came in', async () => {
  const teamId = await newTeam();
  await give(teamId, 1_000);
  await spend(teamId, 799);
  expect(await alertsOf(teamId)).toEqual([]);
  await spend(teamId, 1);
  expect(await alertsOf(teamId)).toEqual([low('200', ['20%', '200'])]);
  await spend(teamId, 140);
  await spend(teamId, 20);
  expect(await alertsOf(teamId)).toEqual([low('200', ['20%', '200']), low('40', ['5%', '50'])]);
  await give(teamId, 160); // the base is 200 now
  await spend(teamId, 160);
  expect((await alertsOf(teamId)).slice(2)).toEqual([low('40', ['20%', '40'])]);
});

test('one spend that crosses several thresholds sends one message that names all', async () => {
  const teamId = await newTeam(['100', '20%', '5%']);
  await give(teamId, 1_000);
  await spend(teamId, 990);
  expect(await alertsOf(teamId)).toEqual([low('10', ['20%', '200'], ['100', '100'], ['5%', '50'])]);
});

test('a threshold that is set above the balance is sent only after credits came in', async () => {
  const teamId = await newTeam([]);
  await give(teamId, 100);
  await database.transaction((em) => setAlerts(em, teamId, ['200', '50']));
  await spend(teamId, 10);
  expect(await alertsOf(teamId)).toEqual([]);
  await spend(teamId, 40);
  expect(await alertsOf(teamId)).toEqual([low('50', ['50', '50'])]);
  await give(teamId, 200);
  await spend(teamId, 60);
  expect((await alertsOf(teamId)).slice(1)).toEqual([low('190', ['200', '200'])]);
});

test('a hold crosses a threshold, and its release does not arm it again', async () => {
  const teamId = await newTeam(['50']);
  await give(teamId, 100);
  for (const _ of [1, 2, 3]) {
    const { id } = await hold(teamId, 60);
    await release(teamId, id);
  }
  expect(await alertsOf(teamId)).toEqual([low('40', ['50', '50'])]);
});

test('credits that came in without a review are seen by the next commit', async () => {
  const teamId = await newTeam();
  await give(teamId, 100, { reviewed: false });
  await spend(teamId, 80);
  expect(await alertsOf(teamId)).toEqual([low('20', ['20%', '20'])]);
});

test('a team is alerted once that it has no credits left, at zero or at the first refusal', async () => {
  const atZero = await newTeam([]);
  await give(atZero, 10);
  await spend(atZero, 10);
  const refused = { code: 'insufficient_credits' };
  await expect(spend(atZero, 1)).rejects.toMatchObject(refused);
  expect(await alertsOf(atZero)).toEqual([exhausted('0')]);

  const atRefusal = await newTeam([]);
  await give(atRefusal, 10);
  for (const _ of [1, 2]) await expect(spend(atRefusal, 11)).rejects.toMatchObject(refused);
  await spend(atRefusal, 10);
  expect(await alertsOf(atRefusal)).toEqual([exhausted('10')]);
  await give(atRefusal, 5);
  await expect(spend(atRefusal, 6)).rejects.toMatchObject(refused);
  expect(await alertsOf(atRefusal)).toEqual([exhausted('10'), exhausted('5')]);
});

test('of many concurrent refusals one sends the message', async () => {
  const teamId = await newTeam([]);
  await give(teamId, 5);
  const other = createCreditOperations(database);
  await Promise.allSettled(
    Array.from({ length: 40 }, (_, index) =>
      (index % 2 ? operations : other).spend({
        ...keyed(teamId),
        ...{ action: 'test', priced: price(6), priceVersion: 1 },
      }),
    ),
  );
  await other.close();
  expect(await alertsOf(teamId)).toEqual([exhausted('5')]);
});

test('a retry with the same key sends no message again', async () => {
  const teamId = await newTeam(['50']);
  await give(teamId, 100);
  for (const _ of [1, 2]) await spend(teamId, 60, { idempotencyKey: 'once' });
  expect(await alertsOf(teamId)).toEqual([low('40', ['50', '50'])]);
});

test('credits that expire are reported, and cross thresholds', async () => {
  const teamId = await newTeam(['50']);
  await give(teamId, 60);
  await give(teamId, 40, { lifeMs: day });
  await spend(teamId, 0); // nothing has changed yet
  await clock.set(new Date(start.getTime() + day));
  await database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, teamId);
    await expireCredits(em, teamId, now);
    await reviewTeamAlerts(em, teamId, now);
  });
  await spend(teamId, 20);
  await clock.set(start);
  expect(await messages(teamId)).toMatchObject([
    { type: 'credits.granted', source: 'purchase', credits: '60', expiresAt: null },
    { type: 'credits.granted', credits: '40', expiresAt: new Date(start.getTime() + day).toISOString() },
    { type: 'credits.expired', credits: '40' },
    low('40', ['50', '50']),
  ]);
});

test('credits of an expired grant that a hold releases are reported as expired', async () => {
  const teamId = await newTeam([]);
  await give(teamId, 40, { lifeMs: day / 2 });
  const { id } = await hold(teamId, 30);
  await clock.set(new Date(start.getTime() + day / 2));
  await release(teamId, id);
  await clock.set(start);
  expect(await messages(teamId, 'credits.expired')).toMatchObject([{ credits: '30' }]);
});

test('a limit that is used up or refuses usage is reported once for each window', async () => {
  const teamId = await newTeam([]);
  await give(teamId, 1_000);
  const key = { teamId, subject: 'key', subjectId: 'key1' } as const;
  await setLimit(database, { ...key, credits: credits(10), per: 'day' });
  const by = { apiKeyId: 'key1' };
  await spend(teamId, 4, by);
  const over = { code: 'limit_reached' };
  for (const _ of [1, 2]) await expect(spend(teamId, 7, by)).rejects.toMatchObject(over);
  await spend(teamId, 6, by);
  const reached = { type: 'limit.reached', level: 'key', subjectId: 'key1', limit: '10', per: 'day' };
  const windowStart = '2026-03-10T00:00:00.000Z';
  expect(await messages(teamId, 'limit.reached')).toEqual([{ ...reached, used: '4', windowStart }]);
  await clock.set(new Date(start.getTime() + day));
  await spend(teamId, 10, by);
  await expect(spend(teamId, 1, by)).rejects.toMatchObject(over);
  await clock.set(start);
  expect((await messages(teamId, 'limit.reached')).slice(1)).toEqual([
    { ...reached, used: '10', windowStart: '2026-03-11T00:00:00.000Z' },
  ]);
});

describe('credits that will expire unused', () => {
  test('are announced 7 days and 1 day ahead, once each', async () => {
    const teamId = await newTeam([]);
    await give(teamId, 100, { lifeMs: 10 * day });
    const expiresAt = new Date(start.getTime() + 10 * day).toISOString();
    const announceAt = async (days: number) => {
      await clock.set(new Date(start.getTime() + days * day));
      await Promise.all([announceExpiringCredits(database), announceExpiringCredits(database)]);
    };
    for (const days of [0, 2.9, 3, 3.1, 8, 9, 9.5, 9.9]) await announceAt(days);
    await clock.set(start);
    const notice = { type: 'credits.expiring', expiresAt, credits: '100', unused: '100' };
    expect(await messages(teamId, 'credits.expiring')).toEqual([
      { ...notice, daysAhead: 7 },
      { ...notice, daysAhead: 1 },
    ]);
  });

  test('are not announced if the team will have used them by then', async () => {
    const teamId = await newTeam([]);
    await give(teamId, 100, { lifeMs: 5 * day });
    await spend(teamId, 90); // 10 are left, and the pace is 90 in 7 days
    await announceExpiringCredits(database);
    expect(await messages(teamId, 'credits.expiring')).toEqual([]);
  });

  test('a team whose notice fails delays the notice of no other team', async () => {
    await clock.set(start);
    const teams = [await newTeam(), await newTeam()];
    for (const teamId of teams) await give(teamId, 100, { lifeMs: 6 * day });
    await database.pool.query(
      `create function fail() returns trigger language plpgsql as $$ begin raise 'no notice'; end $$;
       create trigger fail before insert on expiry_notices for each row when (new.team_id = '${teams[0]}') execute function fail()`,
    );
    await expect(announceExpiringCredits(database)).rejects.toThrow('no notice');
    await database.pool.query('drop function fail cascade');
    expect(await messages(teams[1] ?? '', 'credits.expiring')).toHaveLength(1);
    await announceExpiringCredits(database);
    expect(await messages(teams[0] ?? '', 'credits.expiring')).toHaveLength(1);
  });
});

test('random spends, holds, releases and grants: each crossing is sent exactly once, and nothing else', async () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('spend' as const), amount: fc.integer({ min: 0, max: 60 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('hold' as const), amount: fc.integer({ min: 1, max: 60 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('release' as const), amount: fc.nat({ max: 5 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('give' as const), amount: fc.integer({ min: 1, max: 120 }) }),
    },
  );
  const thresholds = fc.uniqueArray(fc.constantFrom('1%', '20%', '50%', '99%', '5', '30', '80'), {
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(
      thresholds,
      fc.array(step, { minLength: 5, maxLength: 25 }),
      async (lowBalance, steps) => {
        const teamId = await newTeam(lowBalance);
        // The model keeps a set of armed thresholds, where the ledger keeps one watermark.
        let balance = 0;
        let base = 0;
        let armed = new Set<string>();
        let exhaustionIsDue = true;
        const holds: { id: string; amount: number }[] = [];
        const expected: string[] = [];
        const creditsOf = (one: string) =>
          one.endsWith('%') ? (base * Number(one.slice(0, -1))) / 100 : Number(one);
        const end = (wasRefused: boolean, before: number) => {
          const crossed = [...armed].filter((one) => balance <= creditsOf(one));
          for (const one of crossed) armed.delete(one);
          if (crossed.length > 0) expected.push(`low ${crossed.sort()}`);
          if (exhaustionIsDue && (wasRefused || (balance === 0 && before > 0))) {
            exhaustionIsDue = false;
            expected.push('exhausted');
          }
        };
        for (const { kind, amount } of steps) {
          const before = balance;
          if (kind === 'give') {
            await give(teamId, amount, { reviewed: amount % 2 === 0 });
            balance += amount;
            base = balance;
            armed = new Set(lowBalance.filter((one) => creditsOf(one) < balance));
            exhaustionIsDue = true;
            continue;
          }
          if (kind === 'release') {
            const [held] = holds.splice(amount, 1);
            if (!held) continue;
            await release(teamId, held.id);
            balance += held.amount;
            end(false, before);
            continue;
          }
          const done = await (kind === 'spend' ? spend(teamId, amount) : hold(teamId, amount)).catch(
            (error: unknown) => {
              if (!(error instanceof DomainError)) throw error;
              return null;
            },
          );
          expect(done === null).toBe(amount > balance);
          if (done !== null) balance -= amount;
          if (done !== null && kind === 'hold') holds.push({ id: done.id, amount });
          end(done === null, before);
        }
        const sent = (await alertsOf(teamId)).map((message) =>
          'thresholds' in message
            ? `low ${(message.thresholds as { threshold: string }[]).map(({ threshold }) => threshold).sort()}`
            : 'exhausted',
        );
        expect(sent).toEqual(expected);
      },
    ),
    { numRuns: Number(process.env.FC_RUNS ?? 30) },
  );
});

test('in all of these teams ledger:verify finds no wrong alert', async () => {
  const { findings } = await verifyLedger(database);
  expect(findings.filter(({ rule }) => rule in checkAlerts.rules)).toEqual([]);
});
