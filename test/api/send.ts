import { z } from 'zod';
import { routes } from '../../api/app.ts';
import type { components, paths } from '../../client/api-types.ts';
import { type BillingClient, createBillingClient } from '../../client/billing-client.ts';
import { BillingProblem } from '../../client/billing-error.ts';
import type { Credentials } from '../../client/retrying-fetch.ts';
import type { ErrorCode } from '../../errors.ts';
import { rememberSecret } from '../setup/log-copy.ts';

export interface Reply<Json = unknown> {
  status: number;
  headers: Headers;
  /** The parsed JSON; null if there is none. */
  json: Json;
}

/** A refusal, to compare an answer with: its status, its code, and details of its problem. */
export const refusal = (status: number, code: ErrorCode, details: object = {}) => ({
  status,
  json: { code, ...details },
});

/** The `id` in an answer. */
export const idOf = ({ json }: Pick<Reply, 'json'>) => z.object({ id: z.string() }).parse(json).id;

/** Sends one request with the client, and returns its answer, also a refusal. */
export type Send = <M extends Method, Url extends string>(
  method: M,
  /** With the ids in place: `/v1/teams/${teamId}/usage`. */
  url: Url,
  ...sending: Sending<M, Url>
) => Promise<Reply<Answer<Operation<M, Url>> | Problem | null>>;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Problem = components['schemas']['Problem'];

interface Terms {
  /** The bearer token; default: a key with every scope. Null: none. */
  as?: string | null | undefined;
  /** `Idempotency-Key`; default: a new one for every POST. */
  key?: string | undefined;
}

/** The body is checked if the compiler knows the operation, so not if the URL begins or ends with a variable. */
type Sending<M extends Method, Url extends string> = Url extends `/${string}`
  ? [Operation<M, Url>] extends [never]
    ? EndsInVariable<WithoutQuery<Url>> extends true
      ? [terms?: Terms & { body?: object | undefined }]
      : [error: 'the document has no such operation: use sendRaw']
    : Operation<M, Url> extends { requestBody: { content: { 'application/json': infer Body } } }
      ? [terms: Terms & { body: Body }]
      : Operation<M, Url> extends { requestBody?: { content: { 'application/json': infer Body } } }
        ? [terms?: Terms & { body?: Body }]
        : [terms?: Terms & { body?: never }]
  : [terms?: Terms & { body?: object | undefined }];

type Operation<M extends Method, Url extends string> = {
  [P in keyof paths]: Matches<Templates[P], Segments<WithoutQuery<Url>>> extends true
    ? Exclude<paths[P][Lowercase<M>], undefined>
    : never;
}[keyof paths];
type Answer<O> = O extends { responses: infer R }
  ? { [S in keyof R]: R[S] extends { content: { 'application/json': infer J } } ? J : never }[keyof R]
  : unknown;

type Templates = { [P in keyof paths]: Segments<P> };
type WithoutQuery<Url extends string> = Url extends `${infer Path}?${string}` ? Path : Url;
/** True if the last segment has the type `string`, so that the compiler does not know the operation. */
type EndsInVariable<Path extends string> = Path extends `${string}/${infer Rest}`
  ? EndsInVariable<Rest>
  : Record<never, never> extends Record<Path, true>
    ? true
    : false;
type Segments<Path extends string> = Path extends `${infer Head}/${infer Rest}`
  ? [Head, ...Segments<Rest>]
  : [Path];
type Matches<Template extends string[], Actual extends string[]> = Template extends [
  infer Expected extends string,
  ...infer Templates extends string[],
]
  ? Actual extends [infer Segment extends string, ...infer Rest extends string[]]
    ? Expected extends `{${string}}`
      ? Matches<Templates, Rest>
      : Segment extends Expected
        ? Matches<Templates, Rest>
        : false
    : false
  : Actual extends []
    ? true
    : false;

/**
 * Sends with the client's own code: its paths, headers, idempotency keys and problems. A request is sent once, so that a
 * test sees the first answer.
 * @param defaultKey  the service key of requests that name no caller
 */
export function createSend(baseUrl: string, defaultKey: string): Send;
export function createSend(baseUrl: string, defaultKey: string) {
  return async (
    method: Method,
    url: string,
    terms: Terms & { body?: object | undefined } = {},
  ): Promise<Reply> => {
    const { as = defaultKey, key, body } = terms;
    const { path, params } = findOperation(method, url);
    let answer: Response | undefined;
    const client = createBillingClient({
      baseUrl,
      credentials: credentialsOf(as),
      retry: { maxAttempts: 1 },
      fetch: async (request) => {
        answer = await fetch(request);
        rememberSession(answer);
        return answer.clone();
      },
    });
    const json = await callOf(client, method)(path, {
      params: { ...params, ...(key === undefined ? {} : { header: { 'Idempotency-Key': key } }) },
      ...(body === undefined ? {} : { body }),
    }).catch((error: unknown) => {
      if (error instanceof BillingProblem) return error.problem;
      throw error;
    });
    if (!answer) throw new Error('the client sent nothing');
    return { status: answer.status, headers: answer.headers, json: json ?? null };
  };
}

/** The types of a call are those of `Send`. */
function callOf(client: BillingClient, method: Method): (path: string, init: object) => Promise<unknown>;
function callOf(client: BillingClient, method: Method): unknown {
  return client[method];
}

/** `{ cookie: true }` sends no token, and Node's `fetch` has no cookies. */
function credentialsOf(token: string | null): Credentials {
  return token === null ? { cookie: true } : { serviceKey: token };
}

/** A session cookie must not be in a log. */
export function rememberSession({ headers }: Response): void {
  const [, session] = /^__Host-\w+=([^;]+)/.exec(headers.get('set-cookie') ?? '') ?? [];
  if (session !== undefined) rememberSecret(session);
}

/** @throws Error if the document has no such operation: then the request is hostile, and is sent raw */
function findOperation(method: string, url: string) {
  const { pathname, searchParams } = new URL(url, 'http://api');
  const found = routes.find(
    (route) => route.method === method.toLowerCase() && paramsOf(route.path, pathname),
  );
  const path = found && paramsOf(found.path, pathname);
  if (!found || !path) throw new Error(`The API has no ${method} ${pathname}: use sendRaw`);
  return { path: found.path, params: { path, query: Object.fromEntries(searchParams) } };
}

function paramsOf(template: string, pathname: string): Record<string, string> | undefined {
  const pattern = template.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  const groups = new RegExp(`^${pattern}$`).exec(pathname);
  if (!groups) return undefined;
  return Object.fromEntries(
    Object.entries(groups.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
  );
}
