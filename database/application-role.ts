import type { Pool, PoolClient } from 'pg';

/**
 * Creates the role of API and worker, if it does not exist, and gives it the rights that they need. It cannot change the
 * schema. In the tables of history (transfers, usage and others that refuse to be rewritten) it can only read and insert.
 * The owner of the schema runs this after each migration, so that new tables get their rights.
 *
 * @param owner  connections of the schema's owner. It may create roles, unless the role exists
 * @param applicationUrl  `postgresql://role:password@…`: the role's name, and its password if it is created
 */
export async function grantToApplication(owner: Pool, applicationUrl: string): Promise<void> {
  const { username, password } = new URL(applicationUrl);
  const role = decodeURIComponent(username);
  const client = await owner.connect();
  try {
    await client.query('begin');
    await makeRole(client, role, decodeURIComponent(password));
    await run(
      client,
      `select format('revoke create, temporary on database %I from public', current_database())`,
    );
    await run(client, `select format('revoke all on all tables in schema public from %I', $1::text)`, role);
    await run(client, `select format('grant usage on schema public to %I', $1::text)`, role);
    await run(client, `select format('grant usage on all sequences in schema public to %I', $1::text)`, role);
    await run(client, grants, role);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

/** One grant for each table. Partitions need none: they are accessed through their parent. */
const grants = `
  select format('grant %s on %I to %I',
                case when c.relname = 'mikro_orm_migrations' then 'select'
                     when exists (select from pg_trigger t
                                   where t.tgrelid = c.oid and t.tgfoid = 'refuse_rewriting_history'::regproc)
                     then 'select, insert'
                     else 'select, insert, update, delete' end,
                c.relname, $1::text)
    from pg_class c
   where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`;

async function makeRole(client: PoolClient, role: string, password: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
  if (rowCount) return;
  await run(client, `select format('create role %I login password %L', $1::text, $2::text)`, role, password);
}

/** Runs the statements that a query returns: these statements take no parameters. */
async function run(client: PoolClient, query: string, ...values: string[]): Promise<void> {
  const { rows } = await client.query<{ format: string }>(query, values);
  for (const { format } of rows) await client.query(format);
}
