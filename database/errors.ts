/**
 * What an error of Postgres or of its connection means.
 * Classes of SQLSTATE: https://www.postgresql.org/docs/18/errcodes-appendix.html
 */

/** The database cannot be reached, went away or is shutting down; nothing is wrong with the request. */
export function isConnectionError(error: unknown): boolean {
  const code = sqlState(error);
  if (code !== null) return /^(08|57P0)/.test(code) || code === '53300';
  return (
    error instanceof Error &&
    /ECONN|EPIPE|ENOTFOUND|ETIMEDOUT|terminated|Connection ended|timeout exceeded when trying to connect|not queryable/i.test(
      messages(error),
    )
  );
}

/** A lock was not to be had within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === '55P03';
}

function sqlState(error: unknown): string | null {
  if (!Error.isError(error) || !('code' in error) || typeof error.code !== 'string') return null;
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}

function messages(error: Error): string {
  const code = 'code' in error ? String(error.code) : '';
  const nested = error instanceof AggregateError ? error.errors.map(String).join(' ') : '';
  return `${code} ${error.message} ${nested}`;
}
