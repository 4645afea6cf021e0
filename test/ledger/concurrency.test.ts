import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { parseDecimal } from '../../catalog/credits.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { migrateDatabase } from '../../database/migrate-database.ts';
import { type Random, seededRandom } from '../../dev/chaos/random.ts';
import { freePort } from '../../dev/free-port.ts';
import { leash, type Part, startPart } from '../../dev/part.ts';
import { type EmbeddedPostgres, startPostgres } from '../../dev/postgres.ts';
import { expectSoundLedger } from '../scenarios/sound-ledger.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { logCopy } from '../setup/log-copy.ts';
import { seed } from '../setup/seed.ts';

/**
 * Four API processes with load from 500 callers. The processes are killed at random, and Postgres crashes once. The
 * ledger must contain exactly what the callers were answered. `LOAD_SECONDS` sets the duration. With the same `FC_SEED`,
 * each caller sends the same kinds of requests to the same teams; their timing differs.
 */
const seconds = Number(process.env.LOAD_SECONDS ?? 30);
const processes = 4;
const callers = 500;
const smallTeams = 1_000;
/** One team gets half of all requests and has enough credits. The others run out of credits. */
const hotCredits = 1_000_000;
const smallCredits = 4;

const serviceKey = `key-of-the-load-${randomBytes(12).toString('hex')}`;
const agent = new Agent({ keepAlive: true, maxSockets: callers });

/** The answers to callers, by key. The key of a hold, and of its capture, is a key like any other. */
const told = {
  /** Usage event's id by key, with its credits. */
  debited: new Map<string, { teamId: string; id: string; credits: bigint }>(),
  held: new Map<string, string>(),
  refused: new Set<string>(),
};
const seen = { unknown: 0, replays: 0, kills: 0, statuses: new Map<number, number>() };

let directory: string;
let postgres: EmbeddedPostgres;
let startAgain: () => Promise<EmbeddedPostgres>;
let database: Database;
let apis: { port: number; part: Part | null }[] = [];
let hotTeam: string;
let teams: string[];
let sent = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waveloom-load-'));
  await chmod(directory, 0o711); // Postgres may have to run as another user
  leash().removeInTheEnd(directory);
  const cluster = { password: randomBytes(16).toString('hex'), port: await freePort(), durable: true };
  startAgain = () =>
    startPostgres({
      ...cluster,
      dataDir: join(directory, 'postgres'),
      logFile: join(directory, 'postgres.log'),
    });
  postgres = await startAgain();
  await postgres.createDatabase('load');
  await migrateDatabase(postgres.url('load'));
  database = await connectDatabase(postgres.url('load'), { pool: 8 });
  await publishCatalog(database, defaultCatalog);
  hotTeam = uuidv7();
  teams = Array.from({ length: smallTeams }, () => uuidv7());
  await makeTeams();
  apis = await Promise.all(
    Array.from({ length: processes }, async () => {
      const port = await freePort();
      return { port, part: await startApi(port) };
    }),
  );
}, 120_000);

afterAll(async () => {
  agent.destroy();
  await Promise.all(apis.map(({ part }) => part?.stop(2_000)));
  await database?.close();
  await postgres?.part.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

test(
  `after ${seconds} s of 500 callers, killed APIs and a crash of Postgres, the ledger holds what callers were told (FC_SEED=${seed})`,
  async () => {
    const end = performance.now() + seconds * 1_000;
    let failed = false;
    const goesOn = () => performance.now() < end && !failed;
    const random = seededRandom(seed);
    const chaos = killAtRandom(goesOn, random.fork('kills'));
    try {
      await Promise.all(
        Array.from({ length: callers }, (_, caller) => call(goesOn, random.fork(`caller ${caller}`))),
      );
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      await chaos; // the processes that it killed run again, and can be stopped
    }
    report();

    const { rows: keys } = await database.pool.query<{ key: string; event: string | null }>(
      'select key, usage_event_id as event from idempotency_keys',
    );
    const { rows: events } = await database.pool.query<{ id: string; team: string; credits: string }>(
      'select id, team_id as team, credits from usage_events',
    );
    const eventOf = new Map(keys.map(({ key, event }) => [key, event]));
    const stored = new Map(events.map((event) => [event.id, event]));

    const wrong = [...told.debited].filter(([key, { teamId, id, credits }]) => {
      const event = stored.get(id);
      return eventOf.get(key) !== id || event?.team !== teamId || BigInt(event.credits) !== credits;
    });
    expect(wrong).toEqual([]);
    expect([...told.held.keys()].filter((key) => eventOf.get(key) !== null)).toEqual([]);
    expect([...told.refused].filter((key) => eventOf.has(key))).toEqual([]);
    // And nothing else: a request without an answer was sent again until it had one.
    expect(keys.length).toBe(told.debited.size + told.held.size);
    expect(events.length).toBe(told.debited.size);

    expect(await consumedByTeam()).toEqual(toldByTeam());
    await expectSoundLedger(database.pool);

    expect([...seen.statuses.keys()].filter((status) => ![200, 201, 402, 503].includes(status))).toEqual([]);

    // The test proves something only if all of these happened.
    expect(told.refused.size).toBeGreaterThan(0);
    expect(told.held.size).toBeGreaterThan(0);
    expect(seen.unknown).toBeGreaterThan(0);
    expect(seen.kills).toBeGreaterThan(0);
  },
  (seconds + 240) * 1_000,
);

/** One caller: sends one request after another, each until it has an answer. */
async function call(goesOn: () => boolean, random: Random): Promise<void> {
  while (goesOn()) {
    const dice = random.next();
    if (dice < 0.7) await spend(random);
    else if (dice < 0.8) await spendBatch(random);
    else await holdAndCapture(random);
  }
}

const usage = { action: 'workflow.run', quantities: { runs: 3 } };

async function spend(random: Random): Promise<void> {
  const [teamId, key] = [anyTeam(random), randomUUID()];
  const repeats = random.next() < 0.05;
  const reply = await sendUntilAnswered(`/v1/teams/${teamId}/usage`, usage, key);
  hear(teamId, key, reply);
  if (reply.status === 201 && repeats) {
    const again = await sendUntilAnswered(`/v1/teams/${teamId}/usage`, usage, key);
    expect(again).toEqual(reply);
    seen.replays += 1;
  }
}

/** Each event of a batch has its own answer. An event without an answer is sent again alone, with the same key. */
async function spendBatch(random: Random): Promise<void> {
  const events = Array.from({ length: 5 }, () => ({
    teamId: anyTeam(random),
    idempotencyKey: randomUUID(),
    ...usage,
  }));
  const reply = await send('/v1/usage/batch', { events }, null);
  const results = reply?.status === 200 ? batchOut.parse(reply.json).results : [];
  await Promise.all(
    events.map(async ({ teamId, idempotencyKey }, index) => {
      const result = results[index];
      const isAnswered = result && result.status < 500;
      if (!isAnswered) seen.unknown += 1;
      const single = isAnswered
        ? { status: result.status, json: result }
        : await sendUntilAnswered(`/v1/teams/${teamId}/usage`, usage, idempotencyKey);
      hear(teamId, idempotencyKey, single);
    }),
  );
}

async function holdAndCapture(random: Random): Promise<void> {
  const [teamId, key] = [anyTeam(random), randomUUID()];
  const body = { ...usage, ttlSeconds: 3_600 };
  const releases = random.next() < 0.2;
  const held = await sendUntilAnswered(`/v1/teams/${teamId}/holds`, body, key);
  if (held.status !== 201) return hear(teamId, key, held);
  const { id } = idOut.parse(held.json);
  told.held.set(key, id);
  const captureKey = randomUUID();
  if (releases) {
    const released = await sendUntilAnswered(`/v1/holds/${id}/release`, {}, captureKey);
    expect(released.status).toBe(200);
    told.held.set(captureKey, id);
  } else {
    const captured = await sendUntilAnswered(
      `/v1/holds/${id}/capture`,
      { quantities: { runs: 3 } },
      captureKey,
    );
    hear(teamId, captureKey, captured);
  }
}

function hear(teamId: string, key: string, { status, json }: Reply): void {
  if (status === 402) {
    told.refused.add(key);
    return;
  }
  if (status !== 201) throw new Error(`${status} was not expected: ${JSON.stringify(json)}`);
  const { id, credits } = receiptOut.parse(json);
  told.debited.set(key, { teamId, id, credits: parseDecimal(credits) });
}

interface Reply {
  status: number;
  json: unknown;
}

/** Sends the same key until an API answers with the outcome. */
async function sendUntilAnswered(path: string, body: object, key: string): Promise<Reply> {
  for (const giveUp = performance.now() + 90_000; performance.now() < giveUp; ) {
    const reply = await send(path, body, key);
    if (reply && reply.status < 500) return reply;
    seen.unknown += 1;
    await pause(100);
  }
  throw new Error(`nobody answered ${path}`);
}

/** To the APIs in turn. Returns null if the connection broke. */
function send(path: string, body: object, key: string | null): Promise<Reply | null> {
  const { port } = apis[sent++ % apis.length] ?? { port: 0 };
  const headers = {
    authorization: `Bearer ${serviceKey}`,
    'content-type': 'application/json',
    ...(key === null ? {} : { 'idempotency-key': key }),
  };
  return new Promise((resolve) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, method: 'POST', agent, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', () => resolve(null));
        response.on('close', () => resolve(null)); // after `end` this has no effect
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          seen.statuses.set(status, (seen.statuses.get(status) ?? 0) + 1);
          resolve({ status, json: JSON.parse(text) });
        });
      },
    );
    outgoing.on('error', () => resolve(null));
    outgoing.end(JSON.stringify(body));
  });
}

/** Kills an API every few seconds, and crashes Postgres once, halfway. Killed processes are started again. */
async function killAtRandom(goesOn: () => boolean, random: Random): Promise<void> {
  const crash = pause(seconds * 500).then(async () => {
    process.kill(postgres.part.pid, 'SIGQUIT'); // an immediate crash without a checkpoint: it recovers from its log
    await postgres.part.exited;
    postgres = await startAgain();
  });
  const restarts: Promise<void>[] = [];
  while (goesOn()) {
    await pause(random.between(1_500, 4_000));
    const running = apis.filter(({ part }) => part?.running());
    const victim = running[random.between(0, running.length - 1)];
    if (running.length < 2 || !victim?.part || !goesOn()) continue;
    process.kill(victim.part.pid, 'SIGKILL');
    seen.kills += 1;
    restarts.push(restart(victim));
  }
  await Promise.all([crash, ...restarts]);
}

async function restart(api: (typeof apis)[number]): Promise<void> {
  await api.part?.exited;
  api.part = null;
  for (let attempt = 1; ; attempt += 1) {
    try {
      api.part = await startApi(api.port);
      return;
    } catch (error) {
      if (attempt === 20) throw error; // Postgres may be down
      await pause(500);
    }
  }
}

function startApi(port: number): Promise<Part> {
  return startPart({
    name: 'API',
    command: process.execPath,
    args: [join(import.meta.dirname, '../../api/main.ts')],
    env: {
      PORT: String(port),
      DATABASE_URL: postgres.url('load'),
      DATA_DIR: directory,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      POLAR_ACCESS_TOKEN: 'polar_oat_tests',
      POLAR_SERVER: 'http://127.0.0.1:1',
      POLAR_WEBHOOK_SECRET: 'a-secret-of-the-tests-only-0123456789',
      AUTH_JWT_SECRET: 'a-secret-of-the-tests-only-0123456789',
      SERVICE_API_KEY: serviceKey,
      ...logCopy,
      LOG_LEVEL: 'silent',
    },
    logFile: join(directory, 'api.log'),
    isReady: () =>
      fetch(`http://127.0.0.1:${port}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
  });
}

/**
 * Each team has two adjustments that give credits, so that debits are split. Inserts what `adjustCredits` writes, for
 * a thousand teams at once.
 */
async function makeTeams(): Promise<void> {
  const all = [hotTeam, ...teams];
  const gifts = all.flatMap((teamId) => {
    const credits = parseDecimal(teamId === hotTeam ? hotCredits : smallCredits) / 2n;
    return [null, new Date(Date.now() + 365 * 86_400_000)].map((expiresAt) => ({
      ...{ teamId, credits, expiresAt, id: uuidv7(), grantId: uuidv7() },
    }));
  });
  const values = [
    gifts.map(({ id }) => id),
    gifts.map(({ teamId }) => teamId),
    gifts.map(({ credits }) => credits),
    gifts.map(({ expiresAt }) => expiresAt),
    gifts.map(({ grantId }) => grantId),
  ];
  const client = await database.pool.connect();
  try {
    await client.query('begin');
    await client.query(
      `insert into teams (id, name, personal) select id, 'a team', false from unnest($1::uuid[]) as id`,
      [all],
    );
    const given = `unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::uuid[])
                     as g (id, team_id, credits, expires_at, grant_id)`;
    await client.query(
      `with adjusted as (
         insert into adjustments (id, team_id, credits, reason, actor, expires_at, created_at)
         select id, team_id, credits, 'a test', 'a test', expires_at, now() from ${given}
       ), granted as (
         insert into grants (id, team_id, source, business_key, granted, available, effective_at, expires_at, catalog_version,
                             actor, reason, created_at)
         select grant_id, team_id, 'adjustment', 'adjustment:' || id, credits, credits, now(), expires_at, 1,
                'a test', 'a test', now()
           from ${given}
       )
       insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
       select team_id, now(), grant_id, 'grant', 'issued', 'available', credits, 'adjustment:' || id from ${given}`,
      values,
    );
    await client.query('commit');
  } finally {
    client.release();
  }
}

async function consumedByTeam(): Promise<Map<string, bigint>> {
  const { rows } = await database.pool.query<{ team: string; consumed: string; held: string; least: string }>(
    `select team_id as team, sum(consumed) as consumed, sum(held) as held, min(available) as least
       from grants group by team_id having sum(consumed + held) > 0`,
  );
  expect(rows.filter(({ held, least }) => BigInt(held) !== 0n || BigInt(least) < 0n)).toEqual([]);
  return new Map(rows.map(({ team, consumed }) => [team, BigInt(consumed)]));
}

function toldByTeam(): Map<string, bigint> {
  const credits = new Map<string, bigint>();
  for (const debit of told.debited.values()) {
    credits.set(debit.teamId, (credits.get(debit.teamId) ?? 0n) + debit.credits);
  }
  return credits;
}

function report(): void {
  const statuses = [...seen.statuses].map(([status, times]) => `${times} × ${status}`).join(', ');
  process.stderr.write(
    `  ${told.debited.size} debits, ${told.refused.size} refused, ${told.held.size} holds and releases, ` +
      `${seen.unknown} unknown outcomes sent again, ${seen.replays} replays; ${seen.kills} APIs killed; ${statuses}\n`,
  );
}

function anyTeam(random: Random): string {
  return random.next() < 0.5 ? hotTeam : (teams[random.between(0, teams.length - 1)] ?? hotTeam);
}

const idOut = z.object({ id: z.string() });
const receiptOut = z.object({ id: z.string(), credits: z.string() });
const batchOut = z.object({ results: z.array(z.looseObject({ status: z.int() })) });
