import type { Pool } from 'pg';
import { readCatalog } from '../catalog/versions.ts';
import { connectDatabase } from '../database/connection.ts';
import type { Progress } from '../dev/progress.ts';
import type { Stack } from './stack.ts';

/** Micro-credits in each grant: more than a run can spend, so that all three stay open. */
const credits = 1_000_000_000_000n;
/** The price of an event in the history, in micro-credits. */
const price = 600_000n;
/** The history lies in this many days, the time for which callers' keys are kept. */
const historyDays = 89;
/** The prefix of the keys in the history. */
const historyKey = 'history-';
/** Events written by one statement. */
const rowsPerChunk = 250_000;

/**
 * Fills a new database: teams with three open grants each (trial, subscription, purchase) and past events, each with
 * its key, receipt and transfer. Uses set-based SQL.
 *
 * No measure runs on empty tables, because Postgres would plan the statements for empty tables, unlike in production.
 *
 * @param events  of all teams together
 *
 * @returns the teams' ids
 */
export async function seedTeams(
  databaseUrl: string,
  { teams, events, progress }: { teams: number; events: number; progress: Progress },
): Promise<string[]> {
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  const { pool } = database;
  try {
    const eventsEach = Math.ceil(events / teams);
    const { rows } = await pool.query<{ id: string }>(
      `insert into teams (id, name, personal) select uuidv7(), 'bench', false from generate_series(1, $1) returning id`,
      [teams],
    );
    await insertGrants(pool, eventsEach);
    const what = `${teams.toLocaleString('en')} teams with ${events.toLocaleString('en')} past events`;
    await progress.step(what, async () => {
      await insertHistory(pool, teams, eventsEach, progress);
      await pool.query('vacuum (analyze)');
      await pool.query('checkpoint');
    });
    return rows.map(({ id }) => id);
  } finally {
    await database.close();
  }
}

/** Teams for the measures of the ledger, with the history of some weeks. */
export function seedLedger(
  { quick, progress }: Stack,
  databaseUrl: string,
  teams: number,
): Promise<string[]> {
  const events = quick ? 5_000 : 100_000;
  return seedTeams(databaseUrl, { teams, events, progress });
}

/**
 * Fills a new database: one team with `events` usage events over the last year, evenly, by 14 actions, 25 members and 9 API
 * keys. For reports, which read nothing but usage events. @returns the team's id
 */
export async function seedYear(databaseUrl: string, { events }: { events: number }): Promise<string> {
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  const { pool } = database;
  try {
    const { rows } = await pool.query<{ id: string }>(
      `insert into teams (id, name, personal) values (uuidv7(), 'bench', false) returning id`,
    );
    const teamId = rows[0]?.id ?? '';
    await pool.query(
      `select create_partitions((date_trunc('month', billing_now() at time zone 'UTC') - make_interval(months => n))::date)
         from generate_series(0, 13) as n`,
    );
    const actions = (await readCatalog(database)).catalog.prices.map(({ action }) => action);
    for (let done = 0; done < events; done += rowsPerChunk) {
      // Multiples of numbers without a common divisor: each mix of action, member and key occurs.
      await pool.query(
        `insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version, balance_after,
                                   member_id, api_key_id)
         select $1, at, uuidv7(), at, ($2::text[])[1 + n % cardinality($2)], $3::jsonb, $4 + n % 1000, 1, $4,
                'user_' || n % 25, 'key_' || n % 9
           from generate_series($5::bigint, $6::bigint) as n,
                lateral (select (billing_now() - ($7 - n) * (interval '365 days' / $7))::timestamptz(3) as at) as times`,
        [
          teamId,
          actions,
          JSON.stringify(lines),
          price,
          done,
          Math.min(done + rowsPerChunk, events) - 1,
          events,
        ],
      );
    }
    await pool.query('vacuum (analyze)');
    await pool.query('checkpoint');
    return teamId;
  } finally {
    await database.close();
  }
}

/** Books the usage events of a team from `seedYear`: a grant before the first of them, and a transfer of each. */
export async function bookYear(databaseUrl: string, teamId: string): Promise<void> {
  await run(
    databaseUrl,
    `with granted as (
       insert into grants (id, team_id, source, business_key, granted, available, consumed, effective_at, catalog_version, created_at)
       select uuidv7(), $1::uuid, 'purchase', 'pack:' || $1::uuid, sum(credits), 0, sum(credits), min(occurred_at), 1, min(occurred_at)
         from usage_events where team_id = $1
       returning *
     ), issued as (
       insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
       select team_id, created_at, id, 'grant', 'issued', 'available', granted, business_key from granted
     )
     insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, usage_event_id)
     select e.team_id, e.occurred_at, g.id, 'spend', 'available', 'consumed', e.credits, e.id
       from usage_events e cross join granted g
      where e.team_id = $1
      order by e.occurred_at`,
    [teamId],
  );
}

/**
 * Throws if the rows of a database do not agree with each other, or with the number of debits acknowledged since it
 * was seeded.
 */
export async function checkBooks(databaseUrl: string, acknowledged: number): Promise<void> {
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  try {
    const { rows } = await database.pool.query<Record<string, boolean>>(
      `with key as (select * from idempotency_keys where usage_event_id is not null)
       select (select count(*) from key where key not like $2) = $1 as acknowledged,
              (select count(*) from key) = (select count(*) from usage_events) as events,
              (select sum(credits) from usage_events) = (select sum(amount) from transfers where to_account = 'consumed') as moved,
              (select sum(credits) from usage_events) = (select sum(consumed) from grants) as consumed`,
      [acknowledged, `${historyKey}%`],
    );
    const wrong = Object.entries(rows[0] ?? {}).filter(([, agrees]) => agrees !== true);
    if (wrong.length > 0)
      throw new Error(`what)} => the ledger is wrong: ${wrong.map(([what]) => what)} => what)}`);
  } finally {
    await database.close();
  }
}

/** Gives a team more open grants: lifetime credits of packs, which burn last. */
export async function addGrants(databaseUrl: string, teamId: string, count: number): Promise<void> {
  await run(
    databaseUrl,
    `with grants as (
       insert into grants (id, team_id, source, business_key, granted, available, effective_at, catalog_version, created_at)
       select uuidv7(), $1::uuid, 'purchase', 'pack-' || n || ':' || $1::uuid, $2, $2, billing_now() - interval '50 days', 1, billing_now()
         from generate_series(1, $3::int) as n
       returning *
     )
     insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
     select team_id, created_at, id, 'grant', 'issued', 'available', granted, business_key from grants`,
    [teamId, credits, count],
  );
}

/** Gives each limit marks of commits from before it was set, one a second. */
export async function addMarks(databaseUrl: string, count: number): Promise<void> {
  await run(
    databaseUrl,
    `insert into limit_marks (counter_id, at, total)
     select counter_id, counted_since - make_interval(secs => n), -n from limits, generate_series(1, $1) as n
         on conflict do nothing`,
    [count],
  );
}

async function run(databaseUrl: string, sql: string, values: unknown[]): Promise<void> {
  const database = await connectDatabase(databaseUrl, { pool: 1 });
  try {
    await database.pool.query(sql, values);
    await database.pool.query('vacuum (analyze)');
  } finally {
    await database.close();
  }
}

async function insertGrants(pool: Pool, eventsEach: number): Promise<void> {
  await pool.query(
    `with grants as (
       insert into grants (id, team_id, source, business_key, granted, available, consumed, effective_at, expires_at,
                           catalog_version, created_at)
       select uuidv7(), t.id, s.source, s.source || ':' || t.id, $1, $1 - s.consumed, s.consumed,
              billing_now() - interval '100 days', billing_now() + s.life, 1, billing_now() - interval '100 days'
         from teams t,
              (values ('trial', interval '20 days', $2::bigint), ('subscription', interval '30 days', 0), ('purchase', null, 0))
                as s (source, life, consumed)
       returning *
     )
     insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
     select team_id, created_at, id, 'grant', 'issued', 'available', granted, business_key from grants`,
    [credits, price * BigInt(eventsEach)],
  );
}

async function insertHistory(
  pool: Pool,
  teams: number,
  eventsEach: number,
  { say }: Progress,
): Promise<void> {
  const teamsAtOnce = Math.max(1, Math.floor(rowsPerChunk / eventsEach));
  for (let done = 0; done < teams; done += teamsAtOnce) {
    await pool.query(
      `with history as materialized (
         select g.team_id, g.id as grant_id, uuidv7() as id, n,
                (billing_now() - n * (make_interval(days => $4) / $3))::timestamptz(3) as at
           from (select id from teams order by id offset $1 limit $2) t
           join grants g on g.team_id = t.id and g.source = 'trial',
                generate_series(1, $3) as n
       ), keys as (
         insert into idempotency_keys (scope, key, body_hash, usage_event_id, occurred_at, created_at)
         select team_id, $8 || n, sha256('history'), id, at, at from history
       ), events as (
         insert into usage_events (team_id, occurred_at, id, recorded_at, action, lines, credits, price_version, balance_after)
         select team_id, at, id, at, 'model.gpt-5', $5::jsonb, $6, 1, 3 * $7::bigint - ($3 - n + 1) * $6::bigint from history
       )
       insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, usage_event_id)
       select team_id, at, grant_id, 'spend', 'available', 'consumed', $6, id from history`,
      [done, teamsAtOnce, eventsEach, historyDays, JSON.stringify(lines), price, credits, historyKey],
    );
    const soFar = Math.min(done + teamsAtOnce, teams) * eventsEach;
    if (soFar % 1_000_000 < rowsPerChunk && soFar >= 1_000_000)
      say(`    ${soFar.toLocaleString('en')} events`);
  }
}

/** The stored lines of a receipt. */
const lines = [
  { meter: 'input_tokens', quantity: '1200', unitPrice: '0.00015', credits: '0.18' },
  { meter: 'output_tokens', quantity: '350', unitPrice: '0.0012', credits: '0.42' },
];
