import type { models } from '@polar-sh/sdk/2026-10';
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import type { Emulator } from './emulator.ts';
import { invalid, PolarRefusal } from './polar-refusal.ts';

/** A handler that answers `work`'s result as JSON once everything that it changed is on disk. */
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

/** Turns a refusal into Polar's JSON; anything else is a bug of the emulator and answers 500. */
export function answerError(error: unknown, response: Response, log: (message: string) => void): void {
  if (response.headersSent) return;
  if (error instanceof PolarRefusal) {
    response.status(error.status).json(error.body);
  } else if (error instanceof Error && 'type' in error && error.type === 'entity.parse.failed') {
    response.status(422).json(invalid(['body'], 'JSON decode error').body);
  } else {
    log(`a request failed: ${error instanceof Error ? error.stack : String(error)}`);
    response.status(500).json({ error: 'InternalServerError', detail: 'Internal Server Error' });
  }
}

/** The request's body, or 422 in Polar's shape that says where it is wrong. */
export function bodyOf<T>(schema: z.ZodType<T>, request: Request): T {
  return parse(schema, request.body ?? {}, 'body');
}

export function parse<T>(schema: z.ZodType<T>, value: unknown, where: 'body' | 'query'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new PolarRefusal(422, {
    detail: result.error.issues.map((issue) => ({
      loc: [where, ...issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))],
      msg: issue.message,
      type: issue.code === 'unrecognized_keys' ? 'extra_forbidden' : issue.code,
      input: null,
    })),
  });
}

/** A path parameter that must be a UUID, as Polar's ids are. */
export function idOf(request: Request, name = 'id'): string {
  const id = request.params[name];
  if (typeof id === 'string' && z.guid().safeParse(id).success) return id.toLowerCase();
  throw invalid(['path', name], 'Input should be a valid UUID', id);
}

export function parameterOf(request: Request, name: string): string {
  const value = request.params[name];
  if (typeof value !== 'string') throw invalid(['path', name], 'Field required');
  return value;
}

type Filter<R> = (row: R, values: string[]) => boolean;

/** What a list can be narrowed and sorted by. `metadata` makes `metadata[key]=value` work. */
export interface ListRules<R> {
  filters: Record<string, Filter<R>>;
  sorting: Record<string, (row: R) => string | number | null>;
  defaultSorting: string;
  metadata?: (row: R) => models.MetadataOutputType;
}

/**
 * One page of `rows` in Polar's `{items, pagination}`. A query parameter that the emulator does not know is
 * refused, because a filter that is silently ignored is worse than none.
 */
export function listOf<R, W>(
  request: Request,
  rows: R[],
  present: (row: R) => W,
  rules: ListRules<R>,
): { items: W[]; pagination: models.Pagination } {
  const query = new Map<string, string[]>();
  for (const [name, value] of new URL(request.url, 'http://emulator').searchParams) {
    query.set(name, [...(query.get(name) ?? []), value]);
  }
  const page = pageNumber(query, 'page', 1, Number.MAX_SAFE_INTEGER);
  const limit = pageNumber(query, 'limit', 10, 100);
  const sorting = query.get('sorting') ?? [rules.defaultSorting];

  let found = rows;
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
    .map(present);
  return { items, pagination: { total_count: found.length, max_page: Math.ceil(found.length / limit) } };
}

/** Filter on a field that holds one of the given values. */
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

/** `metadata` as Polar takes it: up to 50 short keys. */
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
  throw invalid(['query', name], 'Input should be greater than or equal to 1', given);
}

function sorted<R>(rows: R[], sorting: string[], rules: ListRules<R>): R[] {
  const orders = sorting.map((name) => {
    const key = rules.sorting[name.replace(/^-/, '')];
    if (!key) throw invalid(['query', 'sorting'], 'The emulator cannot sort by that', name);
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
