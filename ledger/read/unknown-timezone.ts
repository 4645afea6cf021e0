import { DomainError } from '../../domain-error.ts';

/**
 * Handles the error of a query that computes local days. Node may know more time zones than this Postgres.
 * @throws DomainError `unknown_timezone` if Postgres does not know the zone; otherwise the error itself
 */
export function refuseUnknownTimezone(timezone: string): (error: unknown) => never {
  return (error) => {
    // invalid_parameter_value
    if (!Error.isError(error) || !('code' in error) || error.code !== '22023') throw error;
    throw new DomainError('unknown_timezone', `${timezone} is not a time zone of the IANA database`);
  };
}
