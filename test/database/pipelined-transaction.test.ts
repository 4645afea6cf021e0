import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { Team } from '../../database/entities/team.ts';
import { isConnectionError, isUniqueViolation } from '../../database/errors.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { insertTeam } from '../setup/insert-team.ts';
import { untilWaitingForLock } from '../setup/lock-waits.ts';
import { countRoundTrips } from '../setup/round-trips.ts';

let testDatabase: TestDatabase;
let database: Database;
/** Other connections, which the transactions under test do not use. */
let owner: Database;
let teamId: string;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await connectDatabase(testDatabase.applicationUrl, { pool: 2 });
  owner = await testDatabase.connect({ pool: 1 });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});
beforeEach(async () => {
  teamId = await insertTeam(database.pool, 'team');
});

const nothing = async () => null;
const nameOf = async () => (await database.fork().findOneOrFail(Team, { id: teamId })).name;
const insertAnother = `insert into teams (id, name, personal) values (?, 'another', false)`;

test('writes are sent with the commit: two waits, whatever is written', async () => {
  const { waits } = await countRoundTrips(database.pool, () =>
    database.teamTransaction(teamId, nothing, async (em, locked) => {
      if (!locked) throw new Error('the team exists');
      for (let index = 0; index < 5; index += 1) await em.execute(insertAnother, [uuidv7()]);
      locked.team.name = 'renamed';
    }),
  );
  expect(waits.length).toBe(2);
  expect(await nameOf()).toBe('renamed');
});

test('a read sees the writes that were sent before it', async () => {
  const id = uuidv7();
  const found = await database.teamTransaction(teamId, nothing, async (em) => {
    await em.execute(insertAnother, [id]);
    return em.findOne(Team, { id });
  });
  expect(found?.name).toBe('another');
});

test('a write that fails undoes the transaction, and its error is thrown by the next read or the commit', async () => {
  const failing = (reads: boolean) =>
    database.teamTransaction(teamId, nothing, async (em, locked) => {
      if (locked) locked.team.name = 'never';
      await em.flush();
      await em.execute(insertAnother, [teamId]); // the id is taken
      if (reads) await em.count(Team);
    });
  for (const reads of [true, false]) {
    const error = await failing(reads).catch((thrown: unknown) => thrown);
    expect(isUniqueViolation(error)).toBe(true);
    expect(await nameOf()).toBe('team');
  }
  expect(database.pool.idleCount).toBe(database.pool.totalCount); // its connection can be used again
});

test('work that goes on after its transaction has failed changes nothing in the next one on its connection', async () => {
  const failed = Promise.withResolvers<void>();
  const id = uuidv7();
  let late: Promise<unknown> = Promise.resolve();
  const first = database.teamTransaction(teamId, nothing, async (em) => {
    late = failed.promise.then(() => em.execute(insertAnother, [id]));
    throw new Error('one of two reads has failed');
  });
  await expect(first).rejects.toThrow('one of two reads has failed');
  await database.teamTransaction(teamId, nothing, async () => {
    failed.resolve();
    await expect(late).rejects.toThrow('has ended');
  });
  expect(await database.fork().findOne(Team, { id })).toBeNull();
});

test('the reads that are sent with the lock see what the transaction before it has written', async () => {
  const written = Promise.withResolvers<void>();
  const mayCommit = Promise.withResolvers<void>();
  const first = database.teamTransaction(teamId, nothing, async (em) => {
    await em.execute('update teams set name = ? where id = ?', ['first', teamId]);
    written.resolve();
    await mayCommit.promise;
  });
  await written.promise;
  const readName = async (em: ReturnType<Database['fork']>) => {
    const rows = await em.execute<{ name: string }[]>('select name from teams where id = ?', [teamId]);
    return rows[0]?.name;
  };
  const second = database.teamTransaction(teamId, readName, async (_em, _locked, name) => name);
  await untilWaitingForLock(owner.pool);
  mayCommit.resolve();
  await first;
  expect(await second).toBe('first');
});

test('a connection that is lost before the commit undoes the transaction, and its place in the pool is free', async () => {
  const lost = database.teamTransaction(teamId, nothing, async (em, locked) => {
    const rows = await em.execute<{ pid: number }[]>('select pg_backend_pid() as pid');
    if (locked) locked.team.name = 'never';
    await em.flush();
    await owner.pool.query('select pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
  });
  expect(isConnectionError(await lost.catch((error: unknown) => error))).toBe(true);
  expect(await nameOf()).toBe('team');
  expect(database.pool.idleCount).toBe(database.pool.totalCount);
});

test('a commit that Postgres refuses is an error, and nothing of the transaction is stored', async () => {
  await owner.pool.query(
    `create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
     create constraint trigger refuse after update on teams deferrable initially deferred
       for each row when (new.name = 'refused') execute function refuse()`,
  );
  const refused = database.teamTransaction(teamId, nothing, async (_em, locked) => {
    if (locked) locked.team.name = 'refused';
  });
  await expect(refused).rejects.toThrow('refused');
  expect(await nameOf()).toBe('team');
});

test('a transaction whose error was caught is not reported as committed', async () => {
  const broken = database.teamTransaction(teamId, nothing, async (em) => {
    await em.execute('update teams set name = ? where id = ?', ['never', teamId]);
    await em.execute('select 1 / 0').catch(() => {});
  });
  await expect(broken).rejects.toThrow('the error of a read was caught');
  expect(await nameOf()).toBe('team');
});

test('a month without a partition is created although the write was not waited for', async () => {
  const { rows } = await owner.pool.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'transfers'::regclass`,
  );
  await owner.pool.query(`drop table ${rows.map(({ name }) => name).join(', ')}`);
  let attempts = 0;
  await database.teamTransaction(teamId, nothing, async (em) => {
    attempts += 1;
    await em.execute(
      `insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
       values (?, billing_now(), ?, 'grant', 'issued', 'available', 1, 'order:1')`,
      [teamId, uuidv7()],
    );
  });
  expect(attempts).toBe(2);
  expect((await database.pool.query('select from transfers where team_id = $1', [teamId])).rowCount).toBe(1);
});

test('a team that does not exist is null', async () => {
  expect(await database.teamTransaction(uuidv7(), nothing, async (_em, locked) => locked)).toBeNull();
});
