import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { publishCatalog } from '../../catalog/versions.ts';
import { createMissingPartitions } from '../../database/partitions.ts';
import { forgetBalanceDays } from '../../ledger/read/balance-days.ts';
import { readBalanceHistory } from '../../ledger/read/balance-history.ts';
import { closeMonths } from '../../ledger/read/closed-months.ts';
import { readBalance } from '../../ledger/read/read-balance.ts';
import { type LedgerFinding, verifyLedger } from '../../ledger/verify/verify-ledger.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { seed } from '../setup/seed.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const hourMs = 3_600_000;
const start = Date.parse('2031-01-15T00:00:00Z');
const end = Date.parse('2031-04-12T12:00:00Z');

const { testDatabase: sound, database } = useTestDatabase({ pool: 2 });
let clock: SettableClock;
beforeAll(async () => {
  clock = await settableClock(sound.url, new Date(start));
  await publishCatalog(database, defaultCatalog);
  for (const month of ['01', '02', '03', '04']) {
    await clock.set(new Date(`2031-${month}-12T12:00:00Z`));
    await createMissingPartitions(database.pool);
  }
});

const largestAmount = 9_007_199_254_740_993n;
const mostTransfers = 60;
/** Comes first, so that no order of the other transfers takes more credits than there are. */
const firstGrant: Transfer = {
  move: ['grant', 'issued', 'available'],
  at: start,
  amount: largestAmount * BigInt(mostTransfers + 1),
};

const moves = [
  ['grant', 'issued', 'available'],
  ['spend', 'available', 'consumed'],
  ['hold', 'available', 'held'],
  ['capture', 'held', 'consumed'],
  ['release', 'held', 'expired'],
  ['expire', 'available', 'expired'],
  ['reinstate', 'expired', 'available'],
  ['clawback', 'available', 'revoked'],
  ['settle', 'settled', 'available'],
] as const;

/** Every hour of three months, and the milliseconds around it, so that each change of the clocks is met. */
const transfer = fc.record({
  move: fc.constantFrom(...moves),
  at: fc
    .tuple(fc.integer({ min: 0, max: (end - start) / hourMs - 1 }), fc.constantFrom(-1, 0, 1))
    .map(([hour, shift]) => start + hour * hourMs + shift),
  amount: fc.bigInt({ min: 1n, max: largestAmount }),
});
type Transfer = typeof transfer extends fc.Arbitrary<infer T> ? T : never;

async function teamWith(transfers: readonly Transfer[]): Promise<string> {
  const [teamId, grantId] = [uuidv7(), uuidv7()];
  await database.pool.query(
    `insert into teams (id, name, personal, created_at) values ($1, 'a team', false, $2)`,
    [teamId, new Date(start - hourMs)],
  );
  await database.pool.query(
    `insert into grants (id, team_id, source, business_key, granted, available, held, consumed, expired, revoked, settled, effective_at, created_at, catalog_version)
     values ($1::uuid, $2, 'purchase', $1::uuid::text, 1, 1, 0, 0, 0, 0, 0, billing_now(), billing_now(), 1)`,
    [grantId, teamId],
  );
  await book(teamId, transfers);
  return teamId;
}

async function book(teamId: string, transfers: readonly Transfer[]): Promise<void> {
  await database.pool.query(
    `insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
     select $1, t.at, (select id from grants where team_id = $1), t.kind, t.from_account, t.to_account, t.amount, 'order:1'
       from unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[]) as t (at, kind, from_account, to_account, amount)`,
    [
      teamId,
      transfers.map(({ at }) => new Date(at)),
      transfers.map(({ move: [kind] }) => kind),
      transfers.map(({ move: [, from] }) => from),
      transfers.map(({ move: [, , to] }) => to),
      transfers.map(({ amount }) => amount),
    ],
  );
}

/** Compares a history with the ledger at the end of each seventh day. */
async function expectHistory(teamId: string, timezone: string): Promise<void> {
  // Halfway through a day, in the middle of the transfers.
  const from = new Date('2031-02-20T09:30:00Z');
  const to = new Date('2031-06-01T00:00:00Z');
  const { opening, days } = await readBalanceHistory(database, { teamId, from, to, timezone });
  const before = await readBalance(database, teamId, new Date(from.getTime() - 1));
  expect(opening).toEqual({ available: before.available, held: before.held });
  let balance = opening.available + opening.held;
  for (const { day, granted, consumed, expired, revoked, settled, available, held } of days) {
    balance += granted - consumed - expired - revoked - settled;
    expect({ day, balance }).toEqual({ day, balance: available + held });
  }
  const sample = days.filter((_, index) => index % 7 === 0 || index === days.length - 1);
  const { rows: ends } = await database.pool.query<{ at: string }>(
    `select extract(epoch from least((day + 1)::timestamp at time zone $2 - interval '1 millisecond', billing_now())) * 1000 as at
       from unnest($1::date[]) as day`,
    [sample.map(({ day }) => day), timezone],
  );
  for (const [index, { at }] of ends.entries()) {
    const then = await readBalance(database, teamId, new Date(Number(at)));
    const { day, available, held } = sample[index] ?? {};
    expect({ day, available, held }).toEqual({ day, available: then.available, held: then.held });
  }
}

test(`each day ends with the balance that the ledger has at that instant, in every zone, and its sums explain the change (FC_SEED=${seed})`, async () => {
  await clock.set(new Date(end));
  const zones = ['UTC', 'Europe/Paris', 'America/Havana', 'Asia/Kathmandu', 'Pacific/Kiritimati'];
  const teams: string[] = [];
  for (const transfers of fc.sample(fc.array(transfer, { minLength: 1, maxLength: mostTransfers }), {
    numRuns: zones.length,
    seed,
  })) {
    teams.push(await teamWith([firstGrant, ...transfers]));
  }
  for (const [index, zone] of zones.entries()) await expectHistory(teams[index] ?? '', zone);
  expect(await closeMonths(database.pool)).toBe(3);
  for (const [index, zone] of zones.entries()) await expectHistory(teams[index] ?? '', zone);
});

test('days that have not begun are left out, and a range in the future has none', async () => {
  const teamId = await teamWith([]);
  const read = (from: string, to: string) =>
    readBalanceHistory(database, { teamId, from: new Date(from), to: new Date(to), timezone: 'UTC' });
  expect((await read('2031-04-10T00:00:00Z', '2031-05-01T00:00:00Z')).days.map(({ day }) => day)).toEqual([
    '2031-04-10',
    '2031-04-11',
    '2031-04-12',
  ]);
  expect((await read('2031-04-20T00:00:00Z', '2031-05-01T00:00:00Z')).days).toEqual([]);
  await expect(read('2031-04-20T00:00:00Z', '2031-04-20T00:00:00Z')).rejects.toMatchObject({
    code: 'empty_range',
  });
  await expect(read('2030-01-01T00:00:00Z', '2031-04-20T00:00:00Z')).rejects.toMatchObject({
    code: 'range_too_long',
  });
});

/** What the transfers of each local day changed, one by one, by Node's time zones. */
function recount(transfers: readonly Transfer[], from: Date, to: Date, timeZone: string) {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone });
  const days = new Map<string, Record<string, bigint>>();
  for (const { move, at, amount } of transfers) {
    if (at < from.getTime() || at >= to.getTime()) continue;
    const day = format.format(at);
    const sums = days.get(day) ?? {};
    days.set(day, sums);
    const [, source, target] = move;
    sums[target] = (sums[target] ?? 0n) + amount;
    if (source === 'issued') sums.granted = (sums.granted ?? 0n) + amount;
    else sums[source] = (sums[source] ?? 0n) - amount;
  }
  return days;
}

test.each([
  'UTC',
  'Europe/Paris',
  'America/Los_Angeles',
  'America/Havana',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Kiritimati',
])(
  `in %s, the days of a history equal a recount of the transfers, when they are stored and before (FC_SEED=${seed})`,
  async (timezone) => {
    const instant = fc
      .tuple(fc.integer({ min: 0, max: (end - start) / (hourMs / 2) }), fc.constantFrom(-1, 0, 0, 1))
      .map(([half, shift]) => start + half * (hourMs / 2) + shift);
    const range = fc
      .tuple(instant, instant)
      .filter(([a, b]) => a !== b)
      .map(([a, b]) => ({ from: new Date(Math.min(a, b)), to: new Date(Math.max(a, b)) }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(transfer, { minLength: 1, maxLength: mostTransfers }),
        fc.array(range, { minLength: 3, maxLength: 5 }),
        async (transfers, ranges) => {
          const all = [firstGrant, ...transfers];
          const teamId = await teamWith([]);
          let now = start - 1;
          for (const [index, { from, to }] of ranges.entries()) {
            // The clock moves from the middle of the time to its end, and transfers are booked meanwhile.
            const before = now;
            now = start + ((index + 1) / ranges.length) * (end - start);
            await clock.set(new Date(now));
            await book(
              teamId,
              all.filter(({ at }) => at > before && at <= now),
            );
            const { days } = await readBalanceHistory(database, { teamId, from, to, timezone });
            const booked = recount(
              all.filter(({ at }) => at <= now),
              from,
              to,
              timezone,
            );
            const found = days.map(({ day, granted, consumed, expired, revoked, settled }) => ({
              day,
              granted,
              consumed,
              expired,
              revoked,
              settled,
            }));
            expect({ now, from, to, found }).toEqual({
              now,
              from,
              to,
              found: days.map(({ day }) => {
                const {
                  granted = 0n,
                  consumed = 0n,
                  expired = 0n,
                  revoked = 0n,
                  settled = 0n,
                } = booked.get(day) ?? {};
                return { day, granted, consumed, expired, revoked, settled };
              }),
            });
            expect([...booked.keys()].filter((day) => !days.some((known) => known.day === day))).toEqual([]);
          }
        },
      ),
      { numRuns: 6, seed },
    );
    expect(await dayFindings()).toEqual([]);
  },
);

test('a history reads ended days from their stored sums, which the verification checks, and they can be deleted', async () => {
  await clock.set(new Date(end));
  const at = end - 72 * hourMs;
  const teamId = await teamWith([firstGrant, { move: ['spend', 'available', 'consumed'], at, amount: 7n }]);
  const consumed = async () => {
    const range = { from: new Date(at - 24 * hourMs), to: new Date(end) };
    const { days } = await readBalanceHistory(database, { teamId, timezone: 'UTC', ...range });
    return days.reduce((sum, day) => sum + day.consumed, 0n);
  };
  expect(await consumed()).toBe(7n);
  await database.pool.query(
    `update balance_days set consumed = 8, available = available - 1 where team_id = $1 and day = '2031-04-09'`,
    [teamId],
  );
  expect(await consumed()).toBe(8n);
  expect(await dayFindings()).toMatchObject([
    {
      teamId,
      subject: '2031-04-09 in UTC',
      expected: expect.stringContaining('consumed 7'),
      found: expect.stringContaining('consumed 8'),
    },
  ]);
  await database.pool.query('delete from balance_days where team_id = $1', [teamId]);
  expect(await consumed()).toBe(7n);
});

test('today is not stored, nor a day that ended a moment ago or lies only partly in the range', async () => {
  const midnight = Date.parse('2031-04-05T00:00:00Z');
  const teamId = await teamWith([firstGrant]);
  const storedSince = async (now: number, from: string) => {
    await clock.set(new Date(now));
    const range = { from: new Date(from), to: new Date(midnight + 48 * hourMs) };
    await readBalanceHistory(database, { teamId, timezone: 'UTC', ...range });
    const { rows } = await database.pool.query<{ day: string }>(
      `select day::text from balance_days where team_id = $1 and day >= '2031-04-01' order by day`,
      [teamId],
    );
    return rows.map(({ day }) => day);
  };
  const days = ['2031-04-02', '2031-04-03'];
  expect(await storedSince(midnight + hourMs, '2031-04-01T12:00:00Z')).toEqual(days);
  expect(await storedSince(midnight + 2 * hourMs, '2031-04-01T12:00:00Z')).toEqual([...days, '2031-04-04']);
});

test('a time zone that Postgres no longer knows is forgotten, and does not stop the verification', async () => {
  await clock.set(new Date(end));
  const teamId = await teamWith([]);
  await database.pool.query(
    `insert into balance_days values ($1, 'Europe/Atlantis', '2031-04-09', 0, 0, 0, 0, 0, 0, 0), ($1, 'UTC', '2031-04-09', 0, 0, 0, 0, 0, 0, 0)`,
    [teamId],
  );
  expect(await dayFindings()).toEqual([]);
  await forgetBalanceDays(database.pool);
  const { rows } = await database.pool.query('select timezone from balance_days where team_id = $1', [
    teamId,
  ]);
  expect(rows).toEqual([{ timezone: 'UTC' }]);
});

test('a time zone in which nobody has read the history for 60 days is forgotten', async () => {
  await clock.set(new Date(end));
  const teamId = await teamWith([firstGrant]);
  const range = { from: new Date('2031-04-10T00:00:00Z'), to: new Date(end) };
  await readBalanceHistory(database, { teamId, timezone: 'UTC', ...range });
  const stored = async () => {
    await forgetBalanceDays(database.pool);
    return (await database.pool.query('select from balance_days where team_id = $1', [teamId])).rowCount;
  };
  expect(await stored()).toBeGreaterThan(0);
  await clock.set(new Date('2031-06-10T12:00:00Z'));
  expect(await stored()).toBeGreaterThan(0);
  await clock.set(new Date('2031-06-11T12:00:00Z'));
  expect(await stored()).toBe(0);
});

/** All other rules find that the grants do not match these transfers. */
async function dayFindings(): Promise<LedgerFinding[]> {
  const found: LedgerFinding[] = [];
  await verifyLedger(database, {
    onFinding: (finding) => {
      if (finding.rule === 'balance-day-equals-transfers') found.push(finding);
    },
  });
  return found;
}
