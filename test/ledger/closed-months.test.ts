import { beforeAll, expect, test } from '@jest/globals';
import { publishCatalog } from '../../catalog/versions.ts';
import { createMissingPartitions } from '../../database/partitions.ts';
import { closeMonths } from '../../ledger/read/closed-months.ts';
import { readBalance } from '../../ledger/read/read-balance.ts';
import { verifyLedger } from '../../ledger/verify/verify-ledger.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const teamId = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70';
const grantId = '0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d71';

const { testDatabase: sound, database } = useTestDatabase({ pool: 2 });
let clock: SettableClock;
beforeAll(async () => {
  clock = await settableClock(sound.url, new Date('2031-01-10T00:00:00Z'));
  await publishCatalog(database, defaultCatalog);
  await database.pool.query(`insert into teams (id, name, personal) values ($1, 'a team', false)`, [teamId]);
  await database.pool.query(
    `insert into grants (id, team_id, source, business_key, granted, available, held, consumed, expired, revoked, settled, effective_at, created_at, catalog_version)
     values ($1, $2, 'purchase', 'order:1', 100, 100, 0, 0, 0, 0, 0, billing_now(), billing_now(), 1)`,
    [grantId, teamId],
  );
  await move('grant', 'issued', 'available', 100);
  for (const month of ['02', '03', '04']) {
    await clock.set(new Date(`2031-${month}-10T00:00:00Z`));
    await createMissingPartitions(database.pool);
    await move('adjust', 'available', 'consumed', 10);
    await database.pool.query(
      'update grants set available = available - 10, consumed = consumed + 10 where id = $1',
      [grantId],
    );
  }
});

async function move(kind: string, from: string, to: string, amount: number): Promise<void> {
  await createMissingPartitions(database.pool);
  await database.pool.query(
    `insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
     values ($1, billing_now(), $2, $3, $4, $5, $6, 'order:1')`,
    [teamId, grantId, kind, from, to, amount],
  );
}

const instants = [
  ['2031-01-05T00:00:00Z', 0n],
  ['2031-01-31T23:59:59Z', 100n],
  ['2031-02-09T00:00:00Z', 100n],
  ['2031-02-10T00:00:00Z', 90n],
  ['2031-03-01T00:00:00Z', 90n],
  ['2031-04-09T00:00:00Z', 80n],
  ['2031-04-10T00:00:00Z', 70n],
] as const;

async function expectBalances(): Promise<void> {
  for (const [at, available] of instants) {
    expect({ at, available: (await readBalance(database, teamId, new Date(at))).available }).toEqual({
      at,
      available,
    });
  }
}

test('a past balance is exact before and after its months are closed, and adds up no transfer of a closed month', async () => {
  await expectBalances();
  expect(await closeMonths(database.pool)).toBe(3);
  expect(await closeMonths(database.pool)).toBe(0);
  await expectBalances();
  const { findings } = await verifyLedger(database);
  expect(findings.filter(({ rule }) => rule === 'month-equals-transfers')).toEqual([]);

  // Without the transfers of the closed months, the balances at their ends and since are the same.
  await database.pool.query('alter table transfers disable trigger all');
  await database.pool.query(`delete from transfers where at < '2031-04-01'`);
  for (const at of ['2031-03-01T00:00:00Z', '2031-04-09T00:00:00Z', '2031-04-10T00:00:00Z']) {
    const expected = instants.find(([instant]) => instant === at)?.[1];
    expect((await readBalance(database, teamId, new Date(at))).available).toBe(expected);
  }
});

test('a month is closed only a day after its end, when no transaction of it can still be open', async () => {
  await clock.set(new Date('2031-05-01T23:59:59Z'));
  expect(await closeMonths(database.pool)).toBe(0);
  await clock.set(new Date('2031-05-02T00:00:00Z'));
  expect(await closeMonths(database.pool)).toBe(1);
});
