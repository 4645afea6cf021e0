import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler, Response } from 'express';
import { z } from 'zod';
import { formatCredits } from '../catalog/credits.ts';
import { isConnectionError, isLockTimeout, isTransientError } from '../database/errors.ts';
import { DomainError } from '../domain-error.ts';
import { type ErrorCode, type ErrorEntry, errorCodes, errors } from '../errors.ts';
import { log } from '../log.ts';

const fieldErrorSchema = z
  .strictObject({ path: z.string(), message: z.string() })
  .meta({ id: 'FieldError', examples: [{ path: 'quantities', message: 'expected at least one meter' }] });

/** An error as callers see it: RFC 9457, with a stable `code`. `errors` names each field that was wrong. */
export const problemSchema = z
  .looseObject({
    type: z.string().meta({ description: 'A link to the documentation of the code' }),
    title: z
      .string()
      .meta({ description: 'What happened, in a few words; the same for every problem of this code' }),
    status: z.int(),
    code: z.enum(errorCodes).meta({ description: 'Stable: decide by it' }),
    detail: z.string().meta({ description: 'What must be true and what to do, for this request' }),
    retriable: z.boolean().meta({
      description: 'True: send the same request with the same Idempotency-Key again, after Retry-After',
    }),
    instance: z.string().optional().meta({ description: 'Names this occurrence in our log' }),
    errors: z.array(fieldErrorSchema).optional(),
  })
  .meta({
    id: 'Problem',
    examples: [
      {
        type: '/docs/errors#insufficient_credits',
        title: 'Insufficient credits',
        status: 402,
        code: 'insufficient_credits',
        detail: 'This needs 12.5 credits and the team has 3',
        retriable: false,
        required: '12.5',
        available: '3',
      },
    ],
  });

export type Problem = z.output<typeof problemSchema>;

/** The only place that turns an error into an answer. An unexpected error is logged, and its message is not sent. */
export function toProblem(error: unknown): Problem {
  const {
    code,
    message,
    details: given,
  } = error instanceof DomainError ? error : (explain(error) ?? unforeseen(error));
  const { status, title, retriable }: ErrorEntry = errors[code];
  const details = Object.entries(given).map(([key, value]) => [
    key,
    typeof value === 'bigint' ? formatCredits(value) : value,
  ]);
  return {
    ...Object.fromEntries(details),
    type: `/docs/errors#${code}`,
    title,
    status,
    code,
    detail: message,
    retriable,
  };
}

/** The last handler of the app. */
export const answerProblem: ErrorRequestHandler = (error, _request, response, next) => {
  // A part of the answer is already sent, so Express closes the connection.
  if (response.headersSent) return next(error);
  sendProblem(response, toProblem(error));
};

function sendProblem(response: Response, problem: Problem): void {
  if (problem.status === 401) {
    response.setHeader('WWW-Authenticate', 'Bearer realm="waveloom-billing", error="invalid_token"');
  }
  if (problem.retriable) response.setHeader('Retry-After', String(problem.retryAfterSeconds ?? 1));
  response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

/**
 * The problems that a request's schemas found, each with its path: `query.limit`, `params.teamId`, and for a body the
 * path in it.
 */
export function invalidRequest(error: z.ZodError): DomainError {
  const inBody = error.issues.every((issue) => issue.path[0] === 'body');
  return refuseFields(
    inBody ? 'invalid_request' : 'invalid_parameters',
    error.issues.map((issue) => ({
      path: z.core.toDotPath(issue.path[0] === 'body' ? issue.path.slice(1) : issue.path) || 'body',
      message: issue.message,
    })),
  );
}

/** The error for a body, or for path and query parameters, that names every wrong field. */
export function refuseFields(
  code: 'invalid_request' | 'invalid_parameters',
  found: { path: string; message: string }[],
): DomainError {
  // A message may repeat what was sent, such as the names of unknown fields.
  const errors = found
    .slice(0, mostErrors)
    .map(({ path, message }) => ({ path: cut(path), message: cut(message) }));
  const shown = errors.slice(0, 3).map(({ path, message }) => `${path}: ${message}`);
  const more = found.length > shown.length ? `; and ${found.length - shown.length} more` : '';
  return new DomainError(code, shown.join('; ') + more, { errors });
}

const mostErrors = 20;
/** The maximum length of a path or a message, in characters. */
const longestTextCharacters = 200;

function cut(text: string): string {
  return text.length > longestTextCharacters ? `${text.slice(0, longestTextCharacters)}…` : text;
}

function explain(error: unknown): DomainError | undefined {
  return explainBodyParser(error) ?? explainUrl(error) ?? explainDatabase(error);
}

/** body-parser's own errors have a `type`. */
function explainBodyParser(error: unknown): DomainError | undefined {
  const parsed = bodyParserError.safeParse(error);
  if (!parsed.success) return undefined;
  const { type, limit } = parsed.data;
  switch (type) {
    case 'entity.parse.failed':
      return new DomainError('malformed_json', 'The body must be JSON');
    case 'entity.too.large':
      return new DomainError('body_too_large', `The body must have at most ${limit} bytes`, { limit });
    case 'charset.unsupported':
    case 'encoding.unsupported':
      return new DomainError('unsupported_media_type', 'The body’s charset or encoding is not supported');
    default:
      return new DomainError('malformed_body', 'The body could not be read');
  }
}

const bodyParserError = z.object({
  // An error of decompression has no type, only zlib's code.
  type: z
    .string()
    .regex(/^(entity|charset|encoding|request|stream)\./)
    .optional(),
  expose: z.literal(true),
  status: z.int().min(400).max(499),
  limit: z.number().optional(),
});

function explainUrl(error: unknown): DomainError | undefined {
  if (!(error instanceof URIError)) return undefined;
  return new DomainError('malformed_url', 'The path must be well-formed');
}

/** The request itself may be correct, so it can be sent again. MikroORM wraps the driver's errors. */
function explainDatabase(error: unknown): DomainError | undefined {
  if (isLockTimeout(error)) {
    return retryLater(
      'team_busy',
      'This team is locked by another operation: send the same key again in a moment',
    );
  }
  if (isConnectionError(error)) {
    log.error({ err: error }, 'the database cannot be reached');
    return retryLater(
      'database_unavailable',
      'The database cannot be reached: send the same key again later',
    );
  }
  if (!isTransientError(error)) return undefined;
  log.warn({ err: error }, 'the database gave up on a transaction');
  return retryLater('database_busy', 'The database could not finish in time: send the same key again');
}

function retryLater(code: ErrorCode, why: string): DomainError {
  return new DomainError(code, why, { retryAfterSeconds: 1 });
}

function unforeseen(error: unknown): DomainError {
  const id = randomUUID();
  log.error({ err: error, errorId: id }, 'unforeseen error');
  return new DomainError('internal_error', 'Something went wrong on our side', {
    instance: `urn:uuid:${id}`,
  });
}
