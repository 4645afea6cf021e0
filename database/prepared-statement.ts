import { hash } from 'node:crypto';
import type { QueryConfig } from 'pg';

const known = new Map<string, { name: string; text: string }>();

/**
 * A statement that each connection prepares once, because Postgres takes longer to parse and plan most statements than
 * to execute them. Only for constant SQL: every text is kept for ever, here and in each connection. It must name the
 * columns of its answer (`listColumns`), because open connections keep it during a migration.
 *
 * @param sql  with `?` for each value
 */
export function preparedStatement(sql: string, values: unknown[]): QueryConfig {
  const statement = known.get(sql) ?? nameStatement(sql);
  known.set(sql, statement);
  return { ...statement, values };
}

function nameStatement(sql: string): { name: string; text: string } {
  let count = 0;
  const text = sql.replaceAll('?', () => {
    count += 1;
    return `$${count}`;
  });
  return { name: hash('sha256', sql).slice(0, 32), text };
}
