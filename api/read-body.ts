import express, { type Request, type RequestHandler, type Response } from 'express';
import { DomainError } from '../domain-error.ts';
import { refuseFields } from './problem.ts';

/** Deeper than any valid body. */
const maxNestingLevels = 32;

/** Parses the body's JSON: an object, well-formed, not too deep. Undefined if there is no body. */
export function readJson(limitBytes: number): (request: Request, response: Response) => Promise<unknown> {
  const parse = express.json({ limit: limitBytes });
  return async (request, response) => {
    const sent = request.headers['content-length'] !== '0';
    if (sent && request.is('application/json') === false) {
      throw new DomainError('unsupported_media_type', 'Send the body as Content-Type: application/json');
    }
    await run(parse, request, response);
    const body: unknown = request.body;
    checkJson(body);
    return body;
  };
}

/**
 * Reads the body's unchanged bytes, for a signature. A compressed body is refused, because a few bytes could expand to
 * many.
 */
export function readBytes(limitBytes: number): (request: Request, response: Response) => Promise<Buffer> {
  const parse = express.raw({ limit: limitBytes, type: () => true, inflate: false });
  return async (request, response) => {
    await run(parse, request, response);
    const body: unknown = request.body;
    return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  };
}

/**
 * Refuses JSON values that Postgres or our code cannot store: text with a NUL or half a surrogate pair, numbers beyond
 * a double (`1e400`), keys with a meaning in JavaScript, unlimited nesting.
 * @throws DomainError `invalid_request`
 */
function checkJson(body: unknown): void {
  const open: { value: unknown; path: string; depth: number }[] = [{ value: body, path: '', depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, path, depth } = next;
    const refuse = (message: string) =>
      refuseFields('invalid_request', [{ path: path.slice(0, 200) || 'body', message }]);
    if (depth > maxNestingLevels) throw refuse(`nested more than ${maxNestingLevels} deep`);
    if (typeof value === 'string') {
      if (!isText(value)) throw refuse('text with a NUL or half a surrogate pair');
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) throw refuse('a number that is too large');
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        if (key === '__proto__' || !isText(key))
          throw refuse(`the key ${JSON.stringify(key.slice(0, 50))} is not allowed`);
        open.push({ value: member, path: path ? `${path}.${key}` : key, depth: depth + 1 });
      }
    }
  }
}

function isText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

function run(middleware: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    middleware(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
}
