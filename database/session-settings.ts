import type { ClientBase } from 'pg';
import { DomainError } from '../domain-error.ts';

/**
 * The settings that our SQL relies on, whatever the defaults of the server, database or role are: the text form of
 * values, the tables that a name means, transaction isolation, and that a commit is durable when it is answered. Names
 * and values are those of `pg_settings`. https://www.postgresql.org/docs/18/runtime-config-client.html
 */
export const sessionSettings = {
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  client_encoding: 'UTF8',
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  array_nulls: 'on',
  search_path: 'public',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  synchronous_commit: 'on',
  transaction_timeout: '0',
  idle_session_timeout: '0',
} as const;

/** Only a superuser may set this one: `replica` would disable the triggers that protect history. */
const checkedSettings = { ...sessionSettings, session_replication_role: 'origin' };

/** The maximum wait for a lock, and the maximum idle time of a transaction. In milliseconds, as in `pg_settings`. */
export const sessionLimitsMs = {
  lock_timeout: 5_000,
  idle_in_transaction_session_timeout: 30_000,
} as const;

/** The `options` of a connection's startup packet: one entry per setting, with spaces escaped for Postgres. */
export function startupOptions(statementTimeoutMs: number): string {
  const settings = { ...sessionSettings, ...sessionLimitsMs, statement_timeout: statementTimeoutMs };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${String(value).replaceAll(' ', '\\ ')}`)
    .join(' ');
}

/**
 * Refuses a connection whose settings are different. A pooler may ignore the startup packet: then the role must have
 * these settings.
 * @throws DomainError `database_misconfigured`, naming each setting
 */
export async function checkSession(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    'select name, setting from pg_settings where name = any($1)',
    [[...Object.keys(checkedSettings), ...Object.keys(sessionLimitsMs)]],
  );
  const found = new Map(rows.map(({ name, setting }) => [name, setting]));
  const wrong = [
    ...Object.entries(checkedSettings).filter(([name, value]) => found.get(name) !== value),
    ...Object.entries(sessionLimitsMs).filter(([name]) => found.get(name) === '0'),
  ];
  if (wrong.length === 0) return;
  const named = wrong.map(([name, value]) => `${name} must be ${value}, not ${found.get(name) ?? 'unset'}`);
  throw new DomainError(
    'database_misconfigured',
    `The database connection has the wrong settings: ${named.join('; ')}. If a pooler ignores startup parameters, set them on the role`,
  );
}
