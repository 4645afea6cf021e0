import { hash } from 'node:crypto';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { DomainError } from '../domain-error.ts';
import { refuseFields } from './problem.ts';

/** Deeper than any valid body. A hostile body must not overflow the stack. */
const maxNestingLevels = 32;

/**
 * Parses the body's JSON: an object, well-formed, not too deep. Undefined if there is no body.
 * @param checkedByRoute  a member of the body whose items the route checks with `checkJson`
 */
export function readJson(
  limitBytes: number,
  checkedByRoute?: string,
): (request: Request, response: Response) => Promise<unknown> {
  const parse = express.json({ limit: limitBytes });
  return async (request, response) => {
    const sent = request.headers['content-length'] !== '0';
    if (sent && request.is('application/json') === false) {
      throw new DomainError('unsupported_media_type', 'Send the body as Content-Type: application/json');
    }
    await run(parse, request, response);
    const body: unknown = request.body;
    const isSplit = checkedByRoute !== undefined && typeof body === 'object' && body !== null;
    checkJson(isSplit ? { ...body, [checkedByRoute]: null } : body);
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

/** Limits the memory for bodies of senders that are not verified yet. */
export interface UnsignedBodies {
  /** Counts the received bytes of this body while `read` reads it. */
  count<T>(request: Request, read: () => Promise<T>): Promise<T>;
}

/**
 * A signature over a body can be checked only after the whole body has arrived, so anyone can make us store bytes.
 * Together these bodies use at most `limitBytes`. Beyond that, the connection whose body began first is closed. A real
 * webhook arrives within milliseconds and is one of the newest, so senders who do not finish only close each other's
 * connections.
 */
export function createUnsignedBodies(limitBytes = 67_108_864): UnsignedBodies {
  /** In the order in which they began. */
  const unfinished = new Map<Request, number>();
  let totalBytes = 0;

  const forget = (request: Request) => {
    totalBytes -= unfinished.get(request) ?? 0;
    unfinished.delete(request);
  };
  const add = (request: Request, bytes: number) => {
    const before = unfinished.get(request);
    if (before === undefined) return; // it was closed
    unfinished.set(request, before + bytes);
    totalBytes += bytes;
    for (const oldest of unfinished.keys()) {
      if (totalBytes <= limitBytes) return;
      forget(oldest);
      oldest.destroy();
    }
  };

  return {
    async count(request, read) {
      unfinished.set(request, 0);
      const result = read();
      request.on('data', (chunk: Buffer) => add(request, chunk.length));
      try {
        return await result;
      } finally {
        forget(request);
      }
    },
  };
}

/**
 * SHA-256 of a parsed JSON value, independent of the order of an object's keys. `1` and `"1.0"` are different bodies,
 * and so are a missing key and `null`.
 * @param without  keys of the value itself that are not part of the hash
 * @throws RangeError if the value is nested more than 32 deep
 */
export function hashBody(body: unknown, { without = [] }: { without?: readonly string[] } = {}): Buffer {
  return hash('sha256', canonical(body, 0, without), 'buffer');
}

/**
 * Refuses JSON values that Postgres or our code cannot store: text with a NUL or half a surrogate pair, numbers beyond
 * a double (`1e400`), keys with a meaning in JavaScript, unlimited nesting.
 * @throws DomainError `invalid_request`
 */
export function checkJson(body: unknown): void {
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

function canonical(value: unknown, depth: number, without: readonly string[] = []): string {
  if (depth > maxNestingLevels) throw new RangeError(`nested more than ${maxNestingLevels} deep`);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([key, member]) => member !== undefined && !without.includes(key))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member, depth + 1)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
