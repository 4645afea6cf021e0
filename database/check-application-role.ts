import type { Pool } from 'pg';
import { DomainError } from '../domain-error.ts';

/**
 * Refuses a role that may do more than API and worker need: it owns or may change the schema, or it may change history.
 * A mistake or a stolen password could then rewrite the ledger. Before the first migration there is nothing to own.
 * @throws DomainError `database_misconfigured`, naming the role and its rights
 */
export async function checkApplicationRole(pool: Pool): Promise<void> {
  const { rows } = await pool.query<RightsRow>(rightsSql);
  const [rights] = rows;
  if (!rights) throw new Error('a query without a table returned no row');
  const excessive = [
    ...(rights.superuser ? ['is a superuser'] : []),
    ...(rights.owns > 0 ? [`owns ${rights.owns} tables`] : []),
    ...(rights.creates ? ['may create tables'] : []),
    ...(rights.rewrites === null ? [] : [`may change rows of ${rights.rewrites.join(', ')}`]),
  ];
  if (excessive.length === 0) return;
  throw new DomainError(
    'database_misconfigured',
    `The role ${rights.role} of DATABASE_URL ${excessive.join(', ')}. API and worker must not: set DATABASE_URL to a role of its own and DATABASE_OWNER_URL to the owner, then run npm run migrate`,
  );
}

interface RightsRow {
  role: string;
  superuser: boolean;
  creates: boolean;
  /** The number of our tables that the role owns, also as a member of the owner. */
  owns: number;
  /** The tables of history that the role may change. */
  rewrites: string[] | null;
}

const rightsSql = `
  with ours as (
    select c.oid, c.relname, c.relowner
      from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition)
  select current_user as role,
         (select rolsuper from pg_roles where rolname = current_user) as superuser,
         has_schema_privilege('public', 'create') as creates,
         (select count(*)::int from ours where pg_has_role(relowner, 'member')) as owns,
         (select array_agg(relname::text order by relname) from ours
           where (has_any_column_privilege(ours.oid, 'update') or has_table_privilege(ours.oid, 'delete, truncate'))
             and exists (select from pg_trigger t
                          where t.tgrelid = ours.oid and t.tgfoid = to_regproc('refuse_rewriting_history'))) as rewrites`;
