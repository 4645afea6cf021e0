import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { publishCatalog } from '../../catalog/versions.ts';
import type { Database } from '../../database/connection.ts';
import { Debt } from '../../database/entities/debt.ts';
import { Grant } from '../../database/entities/grant.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { DomainError } from '../../domain-error.ts';
import { adjustCredits } from '../../ledger/lifecycle/adjust-credits.ts';
import { setDebt, settleDebts } from '../../ledger/lifecycle/debts.ts';
import { grantCredits } from '../../ledger/lifecycle/grant-credits.ts';
import { readBalance } from '../../ledger/read/read-balance.ts';
import { type CreditOperations, createCreditOperations } from '../../ledger/spend/credit-operations.ts';
import { expectFiguresAddUp } from '../scenarios/sound-ledger.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { insertTeam } from '../setup/insert-team.ts';

/** A commit reads the first 32 grants of a team in burn order. These teams have more, or a commit reads fewer. */
const many = 40;
const hour = 3_600_000;

let testDatabase: TestDatabase;
let database: Database;
let usual: CreditOperations;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await testDatabase.connect({ pool: 6 });
  await publishCatalog(database, defaultCatalog);
  usual = createCreditOperations(database);
});
afterAll(async () => {
  await expectFiguresAddUp(database.pool);
  await usual.close();
  await testDatabase.drop();
});

interface NewLot {
  credits: bigint;
  /** Milliseconds; null: lifetime. */
  life: number | null;
}

async function teamWith(lots: readonly NewLot[]): Promise<{ teamId: string; grantIds: string[] }> {
  const teamId = await insertTeam(database.pool);
  const grantIds: string[] = [];
  await inTeam(teamId, async (em, now) => {
    for (const [index, { credits, life }] of lots.entries()) {
      const grant = await grantCredits(
        em,
        {
          teamId,
          source: 'purchase',
          businessKey: `order:${String(index).padStart(3, '0')}-${teamId}`,
          credits,
          effectiveAt: now,
          expiresAt: life === null ? null : new Date(now.getTime() + life),
          catalogVersion: 1,
        },
        now,
      );
      grantIds.push(grant.id);
    }
  });
  return { teamId, grantIds };
}

type Em = Parameters<Parameters<Database['transaction']>[0]>[0];

function inTeam<T>(teamId: string, work: (em: Em, now: Date) => Promise<T>): Promise<T> {
  return database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, teamId);
    return work(em, now);
  });
}

const keyed = (teamId: string) => ({ teamId, idempotencyKey: randomUUID(), bodyHash: Buffer.alloc(32) });
const action = { action: 'workflow.run', priceVersion: 1 };
const priced = (credits: bigint) => ({ credits, lines: [] });
const spend = (teamId: string, credits: bigint) =>
  usual.spend({ ...keyed(teamId), ...action, priced: priced(credits) });
const lots = (count: number, credits: bigint, life: number | null = null): NewLot[] =>
  Array.from({ length: count }, () => ({ credits, life }));

test('the balance after a spend counts the grants that the spend did not read', async () => {
  const { teamId, grantIds } = await teamWith(lots(many, 10n));
  const receipt = await spend(teamId, 15n);
  expect(receipt.grants.map(({ grantId, credits }) => [grantId, credits])).toEqual([
    [grantIds[0], 10n],
    [grantIds[1], 5n],
  ]);
  expect(receipt.balance.available).toBe(10n * BigInt(many) - 15n);
  expect((await readBalance(database, teamId)).available).toBe(receipt.balance.available);
});

test('a spend that the first grants do not cover draws on all of them in burn order', async () => {
  const { teamId, grantIds } = await teamWith(lots(many, 10n));
  const receipt = await spend(teamId, 10n * BigInt(many) - 5n);
  expect(receipt.grants.map(({ grantId }) => grantId)).toEqual(grantIds);
  expect(receipt.balance.available).toBe(5n);
});

test('a spend of more than a team with many grants has is refused with what the team has', async () => {
  const { teamId } = await teamWith(lots(many, 1_000_000n));
  await expect(spend(teamId, 41_000_000n)).rejects.toMatchObject({
    code: 'insufficient_credits',
    details: { required: '41', available: '40' },
  });
});

test('a spend that needs what a lapsed hold sets aside on a late grant gets it', async () => {
  const { teamId, grantIds } = await teamWith([...lots(many, 10n), { credits: 100n, life: null }]);
  const ttl = { ttlMs: 1, maxTtlMs: 1, maxOpenHolds: 10_000 };
  await usual.hold({ ...keyed(teamId), ...action, ...ttl, credits: 10n * BigInt(many) + 30n });
  const receipt = await spend(teamId, 10n * BigInt(many) + 90n);
  expect(receipt.grants.at(-1)).toMatchObject({ grantId: grantIds.at(-1), credits: 90n });
  expect(receipt.balance.available).toBe(10n);
});

test('expired credits that are not booked yet do not hide the grants that can be spent', async () => {
  const { teamId, grantIds } = await teamWith([...lots(many, 10n, hour), ...lots(2, 7n)]);
  await database.pool.query(
    `update grants set expires_at = billing_now() - interval '1 second' where team_id = $1 and expires_at is not null`,
    [teamId],
  );
  const receipt = await spend(teamId, 8n);
  expect(receipt.grants.map(({ grantId }) => grantId)).toEqual(grantIds.slice(-2));
  expect(receipt.balance.available).toBe(6n);
  await inTeam(teamId, (em) => em.nativeUpdate(Grant, { teamId, available: 10n }, { expiresAt: null }));
});

test('an adjustment down takes from many grants in burn order, or is refused with what there is', async () => {
  const { teamId, grantIds } = await teamWith(lots(many, 10n));
  const adjust = (credits: bigint) =>
    database.transaction((em) =>
      adjustCredits(em, { teamId, credits, reason: 'because', actor: 'a test', expiresAt: null }),
    );
  expect(await adjust(-25n)).toMatchObject({
    grants: grantIds.slice(0, 3).map((grantId, index) => ({ grantId, credits: index < 2 ? 10n : 5n })),
    available: 375n,
  });
  const rest = await adjust(-370n);
  expect(rest.grants.map(({ grantId }) => grantId)).toEqual(grantIds.slice(2));
  expect(rest.available).toBe(5n);
  await expect(adjust(-6n)).rejects.toBeInstanceOf(DomainError);
});

test('a debt takes from many grants in burn order, and a smaller one gives back to those that burn last', async () => {
  const { teamId, grantIds } = await teamWith(lots(many, 10n));
  const owe = (owed: bigint) =>
    inTeam(teamId, async (em, now) => {
      const debt = { teamId, key: `order:${teamId}`, lifetime: true, owed };
      await setDebt(em, await em.findOne(Debt, { key: debt.key }), debt, { lateLifeMs: hour, now });
      await settleDebts(em, teamId, now);
      return em.findOneOrFail(Debt, { key: debt.key });
    });
  const settled = async () => {
    const { grants } = await readBalance(database, teamId);
    const byId = new Map(grants.map((grant) => [grant.id, grant.settled]));
    return grantIds.map((id) => byId.get(id));
  };
  expect(await owe(355n)).toMatchObject({ owed: 355n, settled: 355n });
  expect(await settled()).toEqual([...Array(35).fill(10n), 5n, ...Array(4).fill(0n)]);
  expect(await owe(12n)).toMatchObject({ owed: 12n, settled: 12n });
  expect(await settled()).toEqual([10n, 2n, ...Array(38).fill(0n)]);
  await owe(0n);
});

test.each([1, 2, 32])(
  'what a capture needs beyond its hold comes from the grants that burn first, if a commit reads %i grants first',
  async (firstGrants) => {
    const creditOperations = createCreditOperations(database, { firstGrants });
    const { teamId, grantIds } = await teamWith(lots(3, 10n));
    const hold = (credits: bigint) =>
      creditOperations.hold({
        ...keyed(teamId),
        ...action,
        ttlMs: hour,
        maxTtlMs: hour,
        maxOpenHolds: 10_000,
        credits,
      });
    const [first, second, third] = [await hold(10n), await hold(10n), await hold(5n)];
    for (const { id } of [first, second]) await creditOperations.release({ ...keyed(teamId), holdId: id });
    const receipt = await creditOperations.capture({
      ...keyed(teamId),
      holdId: third.id,
      priced: priced(20n),
    });
    expect(receipt.grants.map(({ grantId, credits }) => [grantIds.indexOf(grantId), credits])).toEqual([
      [2, 5n],
      [0, 10n],
      [1, 5n],
    ]);
    expect(receipt.balance.available).toBe(10n);
    await creditOperations.close();
  },
);

type Step = { kind: 'spend' | 'hold' | 'capture' | 'release'; credits: bigint; hold: number };
const amount = fc.bigInt({ min: 1n, max: 25n });
const life = fc.constantFrom(null, null, hour, 2 * hour);
const newLots = fc.array(fc.record({ credits: fc.bigInt({ min: 1n, max: 9n }), life }), {
  minLength: 3,
  maxLength: 9,
});
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('spend', 'spend', 'hold', 'capture', 'release'),
    credits: amount,
    hold: fc.nat({ max: 3 }),
  }),
  { minLength: 3, maxLength: 10 },
);

test('however few grants a commit reads at first, it draws on the same grants as if it had read all', async () => {
  const one = createCreditOperations(database, { firstGrants: 1 });
  const two = createCreditOperations(database, { firstGrants: 2 });
  const runs = Number(process.env.FC_RUNS ?? 40);
  await fc.assert(
    fc.asyncProperty(newLots, steps, async (given, story) => {
      const [all, ...bounded] = [await play(usual, given, story), await play(one, given, story)].concat([
        await play(two, given, story),
      ]);
      for (const answers of bounded) expect(answers).toEqual(all);
    }),
    { numRuns: runs },
  );
  await one.close();
  await two.close();
});

/** What each step was answered, with the places of grants instead of their ids. */
async function play(creditOperations: CreditOperations, given: readonly NewLot[], story: readonly Step[]) {
  const { teamId, grantIds } = await teamWith(given);
  const holds: string[] = [];
  const answers: unknown[] = [];
  for (const { kind, credits, hold } of story) {
    const holdId = holds[hold];
    try {
      if (kind === 'hold') {
        const ttl = { ttlMs: hour, maxTtlMs: hour, maxOpenHolds: 10_000 };
        const answer = await creditOperations.hold({ ...keyed(teamId), ...action, ...ttl, credits });
        holds.push(answer.id);
        answers.push(answer.credits);
      } else if (kind === 'release') {
        if (holdId === undefined) continue;
        answers.push((await creditOperations.release({ ...keyed(teamId), holdId })).status);
      } else {
        if (kind === 'capture' && holdId === undefined) continue;
        const receipt =
          kind === 'capture' && holdId !== undefined
            ? await creditOperations.capture({ ...keyed(teamId), holdId, priced: priced(credits) })
            : await creditOperations.spend({ ...keyed(teamId), ...action, priced: priced(credits) });
        const paid = receipt.grants.map((grant) => [grantIds.indexOf(grant.grantId), grant.credits]);
        answers.push({ paid, available: receipt.balance.available });
      }
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      answers.push([error.code, error.details]);
    }
  }
  const { grants } = await readBalance(database, teamId);
  const left = grants.map(({ id, available, held }) => [grantIds.indexOf(id), available, held]);
  return [...answers, left.sort()];
}
