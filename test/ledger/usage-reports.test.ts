import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { catalogDocument, parseCatalog } from '../../catalog/load-catalog.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { createMissingPartitions } from '../../database/partitions.ts';
import { readSnapshot } from '../../database/pool-transaction.ts';
import { countUsage } from '../../ledger/read/count-usage.ts';
import { reportUsage } from '../../ledger/read/report-usage.ts';
import { countAllUsageDays } from '../../ledger/read/usage-days.ts';
import { columnsOf, type UsageKey } from '../../ledger/read/usage-keys.ts';
import { type LedgerFinding, verifyLedger } from '../../ledger/verify/verify-ledger.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { insertTeam } from '../setup/insert-team.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const zones = [
  'UTC',
  'Europe/Paris',
  'America/Los_Angeles',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Kiritimati',
  'America/Havana', // its clocks go back at 01:00, so midnight happens twice
];
const hourMs = 3_600_000;
const start = Date.parse('2026-03-01T00:00:00Z');
/** Two months with the change of the clocks in every zone that has one in spring, or in the southern autumn. */
const end = Date.parse('2026-04-12T00:00:00Z');

interface Event {
  occurredAt: Date;
  action: string;
  priceVersion: number;
  member: string | null;
  key: string | null;
  run: string | null;
  project: string | null;
  credits: bigint;
}

const { testDatabase: sound, database } = useTestDatabase({ pool: 4 });
let clock: SettableClock;
beforeAll(async () => {
  clock = await settableClock(sound.url, new Date(end));
  await createMissingPartitions(database.pool);
  await publishCatalog(database, defaultCatalog);
  // Version 2: a new price, an archived action, and an action with another model.
  const { prices, ...rest } = catalogDocument(defaultCatalog);
  const changed = prices.map((price) => ({
    ...price,
    archived: price.action === 'workflow.run' || price.archived,
    ...(price.action === 'model.gpt-5' ? { model: 'gpt-5.5' } : {}),
  }));
  await publishCatalog(database, parseCatalog({ ...rest, prices: changed }, 'version 2'));
});

const event: fc.Arbitrary<Event> = fc.record({
  occurredAt: fc.oneof(
    // Any time, and the hours around midnight UTC and around every whole or half hour of a change of the clocks.
    fc.integer({ min: start, max: end - 1 }).map((at) => new Date(at)),
    fc
      .tuple(fc.integer({ min: 0, max: 41 }), fc.integer({ min: 0, max: 47 }), fc.constantFrom(-1, 0, 1))
      .map(([day, half, shift]) => new Date(start + day * 24 * hourMs + half * (hourMs / 2) + shift)),
  ),
  action: fc.constantFrom('model.gpt-5', 'workflow.run', 'web.page'),
  priceVersion: fc.constantFrom(1, 2),
  member: fc.constantFrom('ada', 'bob', null),
  key: fc.constantFrom('key-1', null),
  run: fc.constantFrom('run-1', 'run-2', null),
  project: fc.constantFrom('site', 'app', null),
  credits: fc.bigInt({ min: 0n, max: 5_000_000n }),
});

async function insert(teamId: string, events: readonly Event[]): Promise<void> {
  const column = <T>(pick: (event: Event) => T) => events.map(pick);
  await database.pool.query(
    `insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version, balance_after,
                               member_id, api_key_id, run_id, tags)
     select $1, at, uuidv7(), greatest(at, billing_now()), action, '[]', credits, version, 0, member, key, run,
            case when project is not null then jsonb_build_object('project', project) end
       from unnest($2::timestamptz[], $3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[])
         as e (at, action, credits, version, member, key, run, project)`,
    [
      teamId,
      column(({ occurredAt }) => occurredAt),
      column(({ action }) => action),
      column(({ credits }) => credits),
      column(({ priceVersion }) => priceVersion),
      column(({ member }) => member),
      column(({ key }) => key),
      column(({ run }) => run),
      column(({ project }) => project),
    ],
  );
}

/** The local date, hour and offset of an instant, by Node's time zones. */
function local(at: Date, timeZone: string): { day: string; hour: string } {
  const parts = new Map(
    new Intl.DateTimeFormat('en', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    })
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  const day = `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}`;
  const offset = parts.get('timeZoneName')?.slice('GMT'.length) || '+00:00';
  return { day, hour: `${day}T${parts.get('hour')}:00:00${offset}` };
}

function modelOf({ action, priceVersion }: Event): string | null {
  if (action !== 'model.gpt-5') return null;
  return priceVersion === 1 ? 'gpt-5' : 'gpt-5.5';
}

/** Counts the events one by one. */
function recount(
  events: readonly Event[],
  timezone: string,
  columns: readonly UsageKey[],
): Map<string, string> {
  const sums = new Map<string, { credits: bigint; events: number }>();
  for (const event of events) {
    const { day, hour } = local(event.occurredAt, timezone);
    const values: Partial<Record<UsageKey, string | null>> = {
      day,
      hour,
      action: event.action,
      model: modelOf(event),
      member: event.member,
      key: event.key,
      run: event.run,
      'tag:project': event.project,
    };
    const id = JSON.stringify(columns.map((column) => values[column] ?? null));
    const sum = sums.get(id) ?? { credits: 0n, events: 0 };
    sums.set(id, { credits: sum.credits + event.credits, events: sum.events + 1 });
  }
  return new Map([...sums].map(([id, { credits, events }]) => [id, `${credits} in ${events}`]));
}

const groupings: readonly UsageKey[][] = [
  ['day'],
  ['action'],
  ['day', 'model'],
  ['day', 'action', 'model'],
  ['day', 'member'],
  ['key'],
  ['hour'],
  ['day', 'hour', 'run', 'tag:project'],
  ['member', 'action', 'key'],
];
const grouping = fc.constantFrom(...groupings);
const instant = fc.oneof(
  fc.integer({ min: start, max: end + 48 * hourMs }),
  fc.integer({ min: 0, max: 44 * 48 }).map((half) => start + half * (hourMs / 2)),
);
const range = fc
  .tuple(instant, instant)
  .filter(([a, b]) => a !== b)
  .map(([a, b]) => ({ from: new Date(Math.min(a, b)), to: new Date(Math.max(a, b)) }));

async function expectExact(
  teamId: string,
  timezone: string,
  events: readonly Event[],
  { from, to }: { from: Date; to: Date },
  groupBy: readonly UsageKey[],
): Promise<void> {
  const columns = columnsOf(groupBy);
  const report = await reportUsage(database, { teamId, timezone, from, to, groupBy });
  const inRange = events.filter(({ occurredAt }) => occurredAt >= from && occurredAt < to);
  const found = new Map(
    report.rows.map((row) => [JSON.stringify(row.keys), `${row.credits} in ${row.events}`]),
  );
  expect({ timezone, from, to, columns, rows: found }).toEqual({
    timezone,
    from,
    to,
    columns,
    rows: recount(inRange, timezone, columns),
  });
  expect([report.credits, report.events]).toEqual([
    inRange.reduce((sum, { credits }) => sum + credits, 0n),
    inRange.length,
  ]);
}

const newTeam = () => insertTeam(database.pool);

/** All other rules find that these events have no transfers. */
async function usageDayFindings(): Promise<LedgerFinding[]> {
  const found: LedgerFinding[] = [];
  await verifyLedger(database, {
    onFinding: (finding) => {
      if (finding.rule === 'usage-day-equals-events') found.push(finding);
    },
  });
  return found;
}

test.each(zones)(
  'in %s, every report equals a recount of the events, before and after days are counted and with late events',
  async (timezone) => {
    const questions = fc.array(fc.tuple(range, grouping), { minLength: 3, maxLength: 3 });
    const step = fc.record({
      events: fc.array(event, { maxLength: 40 }),
      questions,
      maintained: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 4 }), async (steps) => {
        const teamId = await newTeam();
        const all: Event[] = [];
        for (const [index, { events, questions, maintained }] of steps.entries()) {
          // The clock moves from the middle of the time to its end: events after it occur later, the others are late.
          const now = start + ((index + 2) / (steps.length + 1)) * (end - start);
          await clock.set(new Date(now));
          const past = events.filter(({ occurredAt }) => occurredAt.getTime() <= now);
          await insert(teamId, past);
          all.push(...past);
          for (const [range, groupBy] of questions) await expectExact(teamId, timezone, all, range, groupBy);
          if (maintained) await countAllUsageDays(database.pool);
        }
        await countAllUsageDays(database.pool);
        await expectExact(teamId, timezone, all, { from: new Date(start), to: new Date(end) }, [
          'day',
          'member',
        ]);
      }),
      { numRuns: 4 },
    );
    expect(await usageDayFindings()).toEqual([]);
  },
);

test('a report reads counted days from their sums, and the verification finds a wrong sum', async () => {
  await clock.set(new Date(end));
  const teamId = await newTeam();
  const used = { action: 'web.page', priceVersion: 1, member: 'ada', key: null, run: null, project: null };
  await insert(teamId, [{ ...used, occurredAt: new Date(end - 72 * hourMs), credits: 7n }]);
  const credits = async () =>
    (await reportUsage(database, { teamId, timezone: 'UTC', groupBy: ['member'] })).credits;
  expect(await credits()).toBe(7n);
  // Late when it was recorded, and counted since: an hour later it is read from the sum.
  await clock.set(new Date(end + 2 * hourMs));
  await countAllUsageDays(database.pool);
  await clock.set(new Date(end + 4 * hourMs));
  await countAllUsageDays(database.pool);
  await database.pool.query(
    'update usage_days set credits = array[8] where team_id = $1 and dimension = $2',
    [teamId, 'member'],
  );
  expect(await credits()).toBe(8n);
  expect(await usageDayFindings()).toMatchObject([
    {
      teamId,
      subject: 'member ada on 2026-04-09 in UTC',
      expected: '7 micro-credits, 1 events',
      found: '8 micro-credits, 1 events',
    },
  ]);
  await database.pool.query('delete from usage_zones where team_id = $1', [teamId]);
  await database.pool.query('delete from usage_days where team_id = $1', [teamId]);
  expect(await credits()).toBe(7n);
});

test('usage with more groups than the maximum is not counted in part', async () => {
  await clock.set(new Date(end));
  const teamId = await newTeam();
  const used = { priceVersion: 1, member: null, key: null, run: null, project: null, credits: 1n };
  const at = { today: new Date(end - 1), before: new Date(end - 72 * hourMs) };
  const actions = ['model.gpt-5', 'workflow.run', 'web.page'];
  await insert(teamId, [
    ...actions.map((action) => ({ ...used, action, occurredAt: at.today })),
    ...actions.map((action) => ({ ...used, action, occurredAt: at.before })),
  ]);
  await reportUsage(database, { teamId, timezone: 'UTC', groupBy: ['action'] }); // counts the ended days
  await clock.set(new Date(end + 2 * hourMs));
  await countAllUsageDays(database.pool);
  const count = (from: Date, to: Date, groupBy: UsageKey[], maxGroups: number) =>
    readSnapshot(database.pool, (client) =>
      countUsage(client, { teamId, from, to, timezone: 'UTC', groupBy, filter: {} }, maxGroups),
    );
  const [start, middle, stop] = [new Date(end - 96 * hourMs), new Date(end - 24 * hourMs), new Date(end)];
  for (const [from, to] of [
    [start, middle],
    [middle, stop],
  ] as const) {
    for (const groupBy of [['action'], ['hour', 'model']] satisfies UsageKey[][]) {
      expect(await count(from, to, groupBy, 3)).toHaveLength(3);
      expect(await count(from, to, groupBy, 2)).toBeNull();
    }
  }
});

test('a time zone that Postgres no longer knows is forgotten, and stops neither the counting of other zones nor the verification', async () => {
  await clock.set(new Date(end));
  const teamId = await newTeam();
  await reportUsage(database, { teamId, timezone: 'Europe/Paris', groupBy: ['day'] });
  await database.pool.query(
    `insert into usage_zones (team_id, timezone, first_day, next_day, counted_at, used_at)
     select team_id, 'Europe/Atlantis', first_day, next_day, counted_at, used_at from usage_zones where team_id = $1`,
    [teamId],
  );
  expect(await usageDayFindings()).toEqual([]);
  await clock.set(new Date(end + 3 * 24 * hourMs));
  await countAllUsageDays(database.pool);
  await clock.set(new Date(end));
  const { rows } = await database.pool.query(
    'select timezone, next_day::text from usage_zones where team_id = $1',
    [teamId],
  );
  expect(rows).toEqual([{ timezone: 'Europe/Paris', next_day: '2026-04-15' }]);
});

test('a team whose days cannot be counted delays no other team', async () => {
  await clock.set(new Date(end));
  const teams = [await newTeam(), await newTeam()].sort();
  for (const teamId of teams)
    await reportUsage(database, { teamId, timezone: 'Europe/Paris', groupBy: ['day'] });
  await clock.set(new Date(end + 3 * 24 * hourMs));
  await database.pool.query(
    `create function fail() returns trigger language plpgsql as $$ begin raise 'not counted'; end $$;
     create trigger fail before update on usage_zones for each row when (new.team_id = '${teams[0]}') execute function fail()`,
  );
  await expect(countAllUsageDays(database.pool)).rejects.toThrow('1 failed, the first because: not counted');
  await database.pool.query('drop function fail cascade');
  await clock.set(new Date(end));
  const { rows } = await database.pool.query(
    'select next_day::text from usage_zones where team_id = any($1) order by team_id',
    [teams],
  );
  expect(rows).toEqual([{ next_day: '2026-04-12' }, { next_day: '2026-04-15' }]);
});

test('a time zone that nobody has used for 60 days is forgotten', async () => {
  await clock.set(new Date(end));
  const teamId = await newTeam();
  await reportUsage(database, { teamId, timezone: 'Asia/Tokyo', groupBy: ['day'] });
  const zone = async () =>
    (await database.pool.query('select from usage_zones where team_id = $1', [teamId])).rowCount;
  await clock.set(new Date(end + 60 * 24 * hourMs));
  await countAllUsageDays(database.pool);
  expect(await zone()).toBe(1);
  await clock.set(new Date(end + 60 * 24 * hourMs + 1));
  await countAllUsageDays(database.pool);
  expect(await zone()).toBe(0);
});
