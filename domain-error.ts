/**
 * An error that the caller can understand and act on. It has a stable `code`, an HTTP status and details. Everything
 * else that is thrown is a bug or an outage.
 */
export class DomainError extends Error {
  readonly code: string;
  readonly status: number;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(status: number, code: string, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'DomainError';
    this.status = status;
    this.code = code;
    this.details = details;
  }
}
