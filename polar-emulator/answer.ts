import type { models } from '@polar-sh/sdk/2026-10';
import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import type { Emulator } from './emulator.ts';
import { type Invalid, invalid, malformed, PolarRefusal } from './polar-refusal.ts';

/** A handler that answers `work`'s result as JSON after all its changes are on disk. */
export function answer(
  emulator: Emulator,
  status: number,
  work: (request: Request) => unknown,
): RequestHandler {
  return (request, response) => {
    const result = emulator.store.transaction(() => work(request));
    if (status === 204) response.status(204).end();
    else response.status(status).json(result ?? null);
  };
}

/** Adds routes whose handlers answer with 200, 201 (POST) or 204 (DELETE), if they name no other status. */
export function routesOf(router: Router, emulator: Emulator) {
  const add =
    (method: 'get' | 'post' | 'patch' | 'delete', usualStatus: number) =>
    (path: string, work: (request: Request) => unknown, status = usualStatus) =>
      void router[method](path, answer(emulator, status, work));
  const get = add('get', 200);
  return {
    get,
    post: add('post', 201),
    patch: add('patch', 200),
    remove: add('delete', 204),
    list: <R>(path: string, rules: ListRules<R>) => get(path, (request) => listOf(request, rules)),
  };
}

/** Turns a PolarRefusal into Polar's JSON. Any other error is a bug of the emulator and answers 500. */
export function answerError(error: unknown, response: Response, log: (message: string) => void): void {
  if (response.headersSent) return;
  if (error instanceof PolarRefusal) {
    response.status(error.status).json(error.body);
  } else if (error instanceof Error && 'type' in error && error.type === 'entity.parse.failed') {
    response
      .status(422)
      .json(malformed([{ type: 'json_invalid', loc: ['body'], msg: 'JSON decode error', input: null }]).body);
  } else {
    log(`a request failed: ${error instanceof Error ? error.stack : String(error)}`);
    response.status(500).type('text').send('Internal Server Error');
  }
}

/** The request's body, or 422 in Polar's format with the path of each error. */
export function bodyOf<T>(schema: z.ZodType<T>, request: Request, locOf: LocOf = (path) => path): T {
  const result = schema.safeParse(request.body ?? {}, { reportInput: true });
  if (result.success) return result.data;
  throw malformed(problemsOf(result.error, locOf));
}

/** The first schema that accepts the body, with its name. If none does, 422 with the problems of each. */
export function bodyOfAny<S extends Record<string, z.ZodType>>(
  schemas: S,
  request: Request,
): { [N in keyof S]: z.infer<S[N]> }[keyof S] {
  const problems: Invalid['detail'] = [];
  for (const [name, schema] of Object.entries(schemas)) {
    const result = schema.safeParse(request.body ?? {}, { reportInput: true });
    if (result.success) return result.data as { [N in keyof S]: z.infer<S[N]> }[keyof S];
    problems.push(...problemsOf(result.error, (path) => [name, ...path]));
  }
  throw malformed(problems);
}

/** The name of a value in Polar's error path, where Polar names the variant of a union. */
type LocOf = (path: (string | number)[]) => (string | number)[];

function problemsOf({ issues }: z.ZodError, locOf: LocOf): Invalid['detail'] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
    const keys = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [key]) : [[]];
    return keys.map((key) => ({
      type: problemType(issue),
      loc: ['body', ...locOf([...path, ...key])],
      msg: issue.message,
      input: issue.input ?? null,
    }));
  });
}

/** Pydantic's name for a problem that zod found. */
function problemType(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return 'extra_forbidden';
  if (issue.code === 'invalid_type') return issue.input === undefined ? 'missing' : `${issue.expected}_type`;
  if (issue.code === 'invalid_value') return 'enum';
  if (issue.code === 'too_big') return issue.origin === 'string' ? 'string_too_long' : 'less_than_equal';
  if (issue.code === 'too_small') return issue.origin === 'string' ? 'too_short' : 'greater_than';
  if (issue.code === 'custom' && typeof issue.params?.type === 'string') return issue.params.type;
  return 'value_error';
}

/** A path parameter that must be a UUID, as Polar's ids are. */
export function idOf(request: Request, name = 'id'): string {
  const id = request.params[name];
  if (typeof id === 'string' && z.guid().safeParse(id).success) return id.toLowerCase();
  throw malformed([
    { type: 'uuid_parsing', loc: ['path', name], msg: 'Input should be a valid UUID', input: id ?? null },
  ]);
}

export function parameterOf(request: Request, name: string): string {
  const value = request.params[name];
  if (typeof value !== 'string') throw invalid(['path', name], 'Field required');
  return value;
}

type Filter<R> = (row: R, values: string[]) => boolean;

/** A list: its rows, how Polar shows them, its filters and sort orders. `metadata` enables `metadata[key]=value`. */
interface ListRules<R> {
  rows: (request: Request) => R[];
  present: (row: R) => unknown;
  filters: Record<string, Filter<R>>;
  sorting: Record<string, (row: R) => string | number | null>;
  /** Default: the newest first. */
  defaultSorting?: string;
  metadata?: (row: R) => models.MetadataOutputType;
}

/**
 * One page in Polar's `{items, pagination}`. An unknown query parameter is refused, because an ignored
 * filter would return wrong rows.
 */
function listOf<R>(
  request: Request,
  rules: ListRules<R>,
): { items: unknown[]; pagination: models.Pagination } {
  const query = new Map<string, string[]>();
  for (const [name, value] of new URL(request.url, 'http://emulator').searchParams) {
    query.set(name, [...(query.get(name) ?? []), value]);
  }
  const page = pageNumber(query, 'page', 1, Number.MAX_SAFE_INTEGER);
  const limit = pageNumber(query, 'limit', 10, 100);
  const sorting = query.get('sorting') ?? [rules.defaultSorting ?? '-created_at'];

  let found = rules.rows(request);
  for (const [name, values] of query) {
    if (name === 'page' || name === 'limit' || name === 'sorting' || name === 'organization_id') continue;
    const key = /^metadata\[(.+)\]$/.exec(name)?.[1];
    const filter: Filter<R> | undefined =
      key === undefined || !rules.metadata
        ? rules.filters[name]
        : (row) => values.includes(String(rules.metadata?.(row)[key]));
    if (!filter) throw invalid(['query', name], 'The emulator has no such filter', values);
    found = found.filter((row) => filter(row, values));
  }

  const items = sorted(found, sorting, rules)
    .slice((page - 1) * limit, page * limit)
    .map(rules.present);
  return { items, pagination: { total_count: found.length, max_page: Math.ceil(found.length / limit) } };
}

/** Filter on a field that must have one of the given values. */
export function oneOf<R>(field: (row: R) => string | null | undefined): Filter<R> {
  return (row, values) => values.includes(field(row) ?? '\0');
}

export function flag<R>(field: (row: R) => boolean | null | undefined): Filter<R> {
  return (row, values) => String(field(row) ?? false) === values[0];
}

export function after<R>(field: (row: R) => string | null): Filter<R> {
  return (row, values) => Date.parse(field(row) ?? '') >= Date.parse(values[0] ?? '');
}

export function before<R>(field: (row: R) => string | null): Filter<R> {
  return (row, values) => Date.parse(field(row) ?? '') <= Date.parse(values[0] ?? '');
}

/** `metadata` as Polar accepts it: up to 50 short keys. */
export const metadataSchema = z.record(
  z.string().min(1).max(40),
  z.union([z.string().min(1).max(500), z.number(), z.boolean()]),
);

export const timestampSchema = z.iso.datetime({ offset: true });

function pageNumber(query: Map<string, string[]>, name: string, otherwise: number, most: number): number {
  const given = query.get(name)?.[0];
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (Number.isInteger(value) && value >= 1) return Math.min(value, most);
  throw malformed([
    { type: 'greater_than', loc: ['query', name], msg: 'Input should be greater than 0', input: given },
  ]);
}

function sorted<R>(rows: R[], sorting: string[], rules: ListRules<R>): R[] {
  const orders = sorting.map((name, index) => {
    const key = rules.sorting[name.replace(/^-/, '')];
    if (!key) {
      const msg = `Input should be one of ${Object.keys(rules.sorting).join(', ')}`;
      throw malformed([{ type: 'enum', loc: ['query', 'sorting', index], msg, input: name }]);
    }
    return { key, sign: name.startsWith('-') ? -1 : 1 };
  });
  const [first] = orders;
  return rows
    .map((row, index) => ({ row, index }))
    .sort((a, b) => {
      for (const { key, sign } of orders) {
        const order = compare(key(a.row), key(b.row));
        if (order !== 0) return sign * order;
      }
      return (first?.sign ?? 1) * (a.index - b.index);
    })
    .map(({ row }) => row);
}

function compare(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  return a < b ? -1 : 1;
}
