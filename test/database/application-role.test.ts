import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { checkApplicationRole } from '../../database/check-application-role.ts';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { migrateDatabase } from '../../database/migrate-database.ts';
import { createMissingPartitions } from '../../database/partitions.ts';
import { freePort } from '../../dev/free-port.ts';
import { withClient } from '../../dev/postgres.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';

const root = join(import.meta.dirname, '../..');
let testDatabase: TestDatabase;
let database: Database;
let tables: string[];
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  // As after each migration. Rights in the database itself are not copied with its template.
  await migrateDatabase(testDatabase.url, testDatabase.applicationUrl);
  database = await connectDatabase(testDatabase.applicationUrl, { pool: 2 });
  tables = await names(`select relname as name from pg_class
                         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`);
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

const history = [
  'adjustments',
  'audit_events',
  'catalog_versions',
  'debt_changes',
  'grant_expiry_changes',
  'hold_draws',
  'transfers',
  'usage_events',
];

const run = (sql: string) => database.pool.query(sql);
const denied = expect.objectContaining({ code: '42501' });

async function names(sql: string, values: unknown[] = []): Promise<string[]> {
  const { rows } = await database.pool.query<{ name: string }>(sql, values);
  return rows.map(({ name }) => name);
}

test('the role of API and worker cannot change history', async () => {
  for (const table of history) {
    await run(`select 1 from ${table} limit 1`);
    const [column] = await names(
      `select column_name as name from information_schema.columns where table_name = $1 and is_identity = 'NO' limit 1`,
      [table],
    );
    for (const statement of [
      `update ${table} set ${column} = ${column}`,
      `delete from ${table}`,
      `truncate ${table}`,
      `alter table ${table} disable trigger all`,
    ])
      await expect(run(statement)).rejects.toEqual(denied);
  }
  await expect(run('set session_replication_role = replica')).rejects.toEqual(denied);
});

test('that role cannot change the schema', async () => {
  for (const statement of [
    'create table more (id int)',
    'create temporary table more (id int)',
    'create schema more',
    'create or replace function billing_now() returns timestamptz(3) language sql return now()::timestamptz(3)',
    'create extension hstore',
    'alter table teams add column more int',
    'drop table teams',
    'drop trigger transfers_are_immutable on transfers',
    'create index on teams (name)',
    'create role more',
  ])
    await expect(run(statement)).rejects.toEqual(denied);
});

test('that role can read and write every other table, and create partitions', async () => {
  const rights = await names(
    `select privilege_type || ' ' || table_name as name from information_schema.role_table_grants
      where grantee = current_user order by 1`,
  );
  const of = (right: string) =>
    rights.flatMap((one) => (one.startsWith(`${right} `) ? [one.slice(right.length + 1)] : [])).sort();
  const ours = tables.filter((table) => table !== 'mikro_orm_migrations').sort();
  const changeable = ours.filter((table) => !history.includes(table));
  expect(of('SELECT')).toEqual([...tables].sort());
  expect(of('INSERT')).toEqual(ours);
  expect([of('UPDATE'), of('DELETE'), of('TRUNCATE')]).toEqual([changeable, changeable, []]);

  const months = `select count(*)::text as name from pg_class where relispartition`;
  await withClient(testDatabase.url, async (owner) => {
    const { rows } = await owner.query(`select relname from pg_class where relispartition and relkind = 'r'`);
    for (const { relname } of rows) await owner.query(`drop table if exists ${pg.escapeIdentifier(relname)}`);
  });
  expect(await names(months)).toEqual(['0']);
  await createMissingPartitions(database.pool);
  expect(Number((await names(months))[0])).toBeGreaterThan(0);
});

test('a role that may do more is refused, and the reason names what', async () => {
  await expect(checkApplicationRole(database.pool)).resolves.toBeUndefined();
  const owner = await connectDatabase(testDatabase.url, { pool: 1 });
  await expect(checkApplicationRole(owner.pool)).rejects.toThrow(
    /superuser, owns \d+ tables, may create tables/,
  );
  await owner.pool.query(
    'grant update (amount) on transfers to billing; grant delete on usage_events to billing',
  );
  await expect(checkApplicationRole(database.pool)).rejects.toThrow(
    'The role billing of DATABASE_URL may change rows of transfers, usage_events.',
  );
  await owner.pool.query(
    'revoke update (amount) on transfers from billing; revoke delete on usage_events from billing',
  );
  await owner.pool.query('grant create on schema public to billing');
  await expect(checkApplicationRole(database.pool)).rejects.toThrow('may create tables');
  await owner.pool.query('revoke create on schema public from billing');
  await expect(checkApplicationRole(database.pool)).resolves.toBeUndefined();
  await owner.close();
});

test.each(['api/main.ts', 'worker/main.ts'])(
  'in production %s does not start as the owner',
  async (program) => {
    const secret = 'k3J9-xQ2m_Vb7Lr0Wz5Tn8Yc1Pd4Hf6Gs';
    const env = {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      DATABASE_URL: testDatabase.url,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      POLAR_ACCESS_TOKEN: 'polar_oat_0123456789abcdef',
      POLAR_WEBHOOK_SECRET: 'whsec_0123456789abcdef0123456789abcdef',
      AUTH_JWT_SECRET: secret,
      PUBLIC_URL: 'https://billing.example.com/',
      CATALOG_FILE: join(root, 'catalog/catalog.yaml'),
      OPERATIONS_PORT: String(await freePort()),
      WORKER_OPERATIONS_PORT: String(await freePort()),
    };
    await expect(promisify(execFile)(process.execPath, [program], { cwd: root, env })).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^The role postgres of DATABASE_URL is a superuser, .* DATABASE_OWNER_URL .*\n$/,
      ),
    });
  },
);

test('even the owner of the schema cannot change history by mistake', async () => {
  await withClient(testDatabase.url, async (owner) => {
    for (const table of history)
      for (const statement of [`delete from ${table}`, `truncate ${table} cascade`])
        await expect(owner.query(statement)).rejects.toThrow('immutable');
  });
});
