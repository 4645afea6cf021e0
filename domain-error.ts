/**
 * A refusal that the caller can understand and act on: it has a stable `code`, an HTTP status and details
 * that say what was wrong. Everything else that is thrown is a bug or a broken part.
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
