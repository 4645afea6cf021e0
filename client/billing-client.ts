import createClient, {
  type Client,
  type ClientPathsWithMethod,
  type FetchResponse,
  type MaybeOptionalInit,
} from 'openapi-fetch';
import type { paths } from './api-types.ts';
import { BillingProblem, BillingUnavailable, isProblem } from './billing-error.ts';
import { type Credentials, createRetryingFetch, type RetryOptions } from './retrying-fetch.ts';

type Json = 'application/json';
type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type PathWith<M extends Method> = ClientPathsWithMethod<Client<paths, Json>, M>;
type Init<P extends keyof paths, M extends Method> = MaybeOptionalInit<paths[P], M>;
type Rest<Init> = undefined extends Init ? [init?: Init] : [init: Init];
type AnswerOf<P extends keyof paths, M extends Method> = Exclude<
  FetchResponse<paths[P][M] & {}, object, Json>['data'],
  undefined
>;

/** Calls one method of a path of the API. @throws BillingProblem, BillingUnavailable */
export type Call<M extends Method> = <P extends PathWith<M>>(
  path: P,
  ...init: Rest<Init<P, M>>
) => Promise<AnswerOf<P, M>>;

/** The paths that answer pages: `{data, nextCursor}`. */
export type ListPath = {
  [P in PathWith<'get'>]: [AnswerOf<P, 'get'>] extends [never]
    ? never
    : AnswerOf<P, 'get'> extends { data: unknown[]; nextCursor: string | null }
      ? P
      : never;
}[PathWith<'get'>];
type Item<P extends ListPath> = AnswerOf<P, 'get'> extends { data: (infer T)[] } ? T : never;

export interface BillingClient {
  GET: Call<'get'>;
  POST: Call<'post'>;
  PUT: Call<'put'>;
  PATCH: Call<'patch'>;
  DELETE: Call<'delete'>;
  /**
   * Every item of a list, page by page. `limit` is the size of a page.
   *
   * ```ts
   * for await (const transfer of billing.list('/v1/teams/{teamId}/ledger', { params: { path: { teamId } } })) {
   *   console.log(transfer.kind, transfer.credits);
   * }
   * ```
   */
  list<P extends ListPath>(path: P, ...init: Rest<Init<P, 'get'>>): AsyncGenerator<Item<P>, void, undefined>;
  /** `fetch` of a path, with the credentials and the retries, for answers that are not JSON, such as a CSV file. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

export interface BillingClientOptions {
  /** Where the API is: `https://billing.example.com`. */
  baseUrl: string;
  /** A service key belongs on a server. In a browser use a token or a cookie. */
  credentials: Credentials;
  retry?: RetryOptions;
  /** Default: the platform's `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
}

/**
 * A client of the billing API. Paths, parameters, bodies and answers are typed. Each POST has an `Idempotency-Key`, which is kept
 * when it is sent again after 429, 503 or a lost connection. To keep it over a restart of your process, choose it yourself:
 * `params.header['Idempotency-Key']`.
 *
 * ```ts
 * const billing = createBillingClient({ baseUrl, credentials: { serviceKey } });
 * const { available } = await billing.GET('/v1/teams/{teamId}/balance', { params: { path: { teamId } } });
 * ```
 */
export function createBillingClient(options: BillingClientOptions): BillingClient {
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const send = createRetryingFetch(options.credentials, options.retry, options.fetch);
  const client = createClient<AnyPaths, Json>({
    baseUrl,
    fetch: send,
    querySerializer: { array: { style: 'form', explode: false } },
  });
  client.use({ onResponse: ({ request, response }) => throwUnlessOk(request, response) });
  return {
    GET: createCall(client, 'get'),
    POST: createCall(client, 'post'),
    PUT: createCall(client, 'put'),
    PATCH: createCall(client, 'patch'),
    DELETE: createCall(client, 'delete'),
    list: createList(client),
    fetch: (path, init) => send(new Request(baseUrl + path, init)),
  };
}

type AnyOperation = { responses: { 200: { content: { 'application/json': unknown } } } };
type AnyPaths = Record<string, Record<Method, AnyOperation>>;
type AnyInit = { params?: { query?: Record<string, unknown> } };

/** The types of a call are those of the document. The API checks each request and, outside production, each answer against it. */
function createCall<M extends Method>(client: Client<AnyPaths, Json>, method: M): Call<M>;
function createCall(client: Client<AnyPaths, Json>, method: Method): unknown {
  return async (path: string, init?: AnyInit) => (await client.request(method, path, init)).data;
}

function createList(client: Client<AnyPaths, Json>): BillingClient['list'];
function createList(client: Client<AnyPaths, Json>): unknown {
  return async function* (path: string, init: AnyInit = {}): AsyncGenerator<unknown, void, undefined> {
    const { params = {} } = init;
    let cursor: string | null = null;
    do {
      const query = { ...params.query, ...(cursor === null ? {} : { cursor }) };
      const answer: { data?: unknown } = await client.request('get', path, {
        ...init,
        params: { ...params, query },
      });
      const page = answer.data;
      if (!isPage(page)) throw new TypeError(`GET ${path} must answer a page`);
      yield* page.data;
      cursor = page.nextCursor;
    } while (cursor !== null);
  };
}

/** @throws BillingProblem, BillingUnavailable */
async function throwUnlessOk(request: Request, response: Response): Promise<void> {
  if (response.ok) return;
  const problem: unknown = await response.json().catch(() => undefined);
  if (isProblem(problem))
    throw new BillingProblem(problem, response.headers.get('x-request-id') ?? undefined);
  throw new BillingUnavailable(
    `something else answered, with the status ${response.status}`,
    request.headers.get('idempotency-key'),
  );
}

function isPage(value: unknown): value is { data: unknown[]; nextCursor: string | null } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'data' in value &&
    Array.isArray(value.data) &&
    'nextCursor' in value
  );
}
