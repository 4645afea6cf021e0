/**
 * The meaning of an error of Postgres or of its connection. Classes of SQLSTATE:
 * https://www.postgresql.org/docs/18/errcodes-appendix.html
 */

/**
 * The database cannot be reached, was lost, is shutting down, or is a standby that cannot write (25006, after a
 * failover). The request itself is not wrong.
 */
export function isConnectionError(error: unknown): boolean {
  const code = sqlState(error);
  if (code !== null) return /^(08|57P0)/.test(code) || code === '53300' || code === readOnlyServer;
  return (
    error instanceof Error &&
    /ECONN|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|terminated|Connection ended|timeout exceeded when trying to connect|not queryable|Query read timeout/i.test(
      messages(error),
    )
  );
}

/** A write was sent to a read-only server. Its connection stays useless until that server is promoted. */
export const readOnlyServer = '25006';

/** A row with this unique key exists: another transaction may have committed it after this one had looked. */
export function isUniqueViolation(error: unknown): boolean {
  return sqlState(error) === '23505';
}

/** A lock could not be taken within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === '55P03';
}

/**
 * Postgres aborted this transaction for a reason outside the request, so the same request may succeed later. By class:
 * transaction rollback (40: deadlock, serialization failure), insufficient resources (53), operator intervention (57:
 * a cancelled or timed-out statement), system error (58), a timed-out transaction (25P03, 25P04), an object in use or
 * not in the required state (55).
 */
export function isTransientError(error: unknown): boolean {
  const code = sqlState(error);
  return code !== null && (/^(40|53|55|57|58)/.test(code) || ['25P03', '25P04'].includes(code));
}

/** The data itself cannot be stored or computed with (class 22): a retry cannot succeed. */
export function isDataError(error: unknown): boolean {
  return sqlState(error)?.startsWith('22') ?? false;
}

/** Two transactions conflicted (class 40). Alone, each would succeed. */
export function isConflict(error: unknown): boolean {
  return sqlState(error)?.startsWith('40') ?? false;
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
