import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { createApp, createOperationsApp } from '../../api/app.ts';
import { createAuthenticate } from '../../api/authenticate.ts';
import type { Dependencies } from '../../api/dependencies.ts';
import { createHttpServer } from '../../api/http-server.ts';
import { createMetrics } from '../../api/metrics.ts';
import { defaultRates } from '../../api/rate-limits.ts';
import { createTeamEvents } from '../../api/team-events.ts';
import { createTemporalLink } from '../../api/temporal-link.ts';
import { parseDecimal } from '../../catalog/credits.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { type BillingClient, createBillingClient } from '../../client/billing-client.ts';
import { connectDatabase, connectDatabaseWithLanes, type Database } from '../../database/connection.ts';
import type { Role } from '../../database/entities/member.ts';
import type { Scope } from '../../database/entities/service-key.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { signToken } from '../../dev/sign-token.ts';
import { grantCredits } from '../../ledger/lifecycle/grant-credits.ts';
import { createCreditOperations } from '../../ledger/spend/credit-operations.ts';
import { createInvoiceCache } from '../../polar/cached-invoices.ts';
import { createPolarClient } from '../../polar/client.ts';
import { startPolarEmulator } from '../../polar-emulator/polar-emulator.ts';
import { signWebhook as signAsPolar } from '../../polar-emulator/webhook-delivery.ts';
import { issueServiceKey } from '../../teams/service-keys.ts';
import { createTestDatabase } from '../setup/database.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { listen, stopServer } from '../setup/listen.ts';
import { rememberSecret } from '../setup/log-copy.ts';
import { createSend, idOf, type Reply, rememberSession, type Send } from './send.ts';

export const jwtSecret = 'a-secret-of-the-tests-only-0123456789';
export const firstKey = 'first-service-key-of-the-tests-0123456789';
export const webhookSecret = 'whsec_dGVzdHMtb25seS13ZWJob29rLXNlY3JldA==';
export const emailTokenSecret = 'token-secret-of-the-tests-0123456789';
export const polarToken = 'polar_oat_tests';

/** A request that need not be valid. */
export interface RawRequest {
  /** The bearer token; default: a key with every scope. Null: none. */
  as?: string | null;
  /** Sent as JSON, or unchanged if it is a string. */
  body?: unknown;
  /** Default: a new one for every POST. Null: none. */
  key?: string | null;
  headers?: Record<string, string>;
}

export interface Person {
  id: string;
  token: string;
  /** The id of the Personal Team. */
  teamId: string;
}

export interface RunningApi {
  url: string;
  /** The URL of `/readyz` and `/metrics`. */
  operationsUrl: string;
  /** The URL with the owner's role: a test may change data that the API may not. */
  databaseUrl: string;
  /** The URL with the API's role. */
  applicationUrl: string;
  /** The URL of the Polar emulator. */
  polarUrl: string;
  /** The owner's connections, for the test's own statements. The API's are in `dependencies`. */
  database: Database;
  dependencies: Dependencies;
  /** Sends a request of the document with the client. */
  send: Send;
  /** The client with a token; default: a key with every scope. For answers that are not JSON. */
  client(token?: string): BillingClient;
  /** Sends any request as it is: a wrong body or header, or an unknown path. */
  sendRaw(method: string, path: string, request?: RawRequest): Promise<Reply>;
  /** The items of each page of a list, to its end. The path has a query. */
  pages(path: string, as?: string): AsyncGenerator<Record<string, unknown>[], void, undefined>;
  /** Creates a service key with these scopes. */
  key(...scopes: Scope[]): Promise<{ id: string; key: string }>;
  /** Signs a user up and returns the user with a token and their Personal Team. */
  person(id?: string): Promise<Person>;
  /** Signs up users with these ids. */
  people<Id extends string>(...ids: Id[]): Promise<Record<Id, Person>>;
  /** Creates a shared team, with members by id and role. Returns its id. */
  team(owner: Pick<Person, 'token'>, members?: Record<string, Role>, name?: string): Promise<string>;
  /** Gives a team lifetime credits, as a pack would. */
  give(teamId: string, credits: string): Promise<void>;
  /** The rows of every table that a request could change, as one text. If the text is equal, nothing has changed. */
  snapshot(): Promise<string>;
  stop(): Promise<void>;
}

interface ApiOptions {
  trustedProxies?: string[];
  temporal?: string;
  polarClock?: () => Date;
  wayToDatabase?: (url: string) => Promise<string>;
  mailFolder?: string;
}

/** `startApi` for all tests of a file. Its fields exist from the file's own `beforeAll` on. */
export function useApi(options?: ApiOptions): RunningApi {
  const api = {} as RunningApi;
  beforeAll(async () => void Object.assign(api, await startApi(options)));
  afterAll(() => api.stop());
  return api;
}

/**
 * The API over real HTTP with a real Postgres and the Polar emulator, in this process. Temporal is down unless an
 * address is given, because no request of the API may need it.
 */
export async function startApi({
  temporal = '127.0.0.1:1',
  polarClock = () => new Date(),
  wayToDatabase = async (url: string) => url,
  trustedProxies = [],
  mailFolder,
}: ApiOptions = {}): Promise<RunningApi> {
  for (const secret of [firstKey, jwtSecret]) rememberSecret(secret);
  const test = await createTestDatabase();
  const database = await connectDatabase(test.url, { pool: 4 });
  const apiDatabase = await connectDatabaseWithLanes(await wayToDatabase(test.applicationUrl));
  await publishCatalog(apiDatabase, defaultCatalog);
  const emulator = await startPolarEmulator({
    accessToken: polarToken,
    loopbackWebhooks: true,
    clock: polarClock,
  });
  const link = createTemporalLink({ address: temporal, namespace: 'default' });
  const creditOperations = createCreditOperations(apiDatabase.lane('spending'));
  const dependencies: Dependencies = {
    database: apiDatabase,
    creditOperations,
    temporal: link,
    polar: createPolarClient({ accessToken: polarToken, server: emulator.url }),
    invoices: createInvoiceCache(),
    authenticate: createAuthenticate({ database: apiDatabase, auth: { jwtSecret }, serviceApiKey: firstKey }),
    metrics: createMetrics(apiDatabase, true),
    webhookSecrets: ['an-older-secret', webhookSecret],
    webhooks: { signingKeys: [Buffer.alloc(32, 7)] },
    rates: defaultRates,
    trustedProxies,
    email: { isOn: true, tokenSecrets: [emailTokenSecret] },
    mailFolder,
    signInWithoutPassword: true,
    publicUrl: 'http://localhost:3000',
    page: { directory: '/no-page', dashboardOrigin: undefined },
    teamEvents: createTeamEvents(apiDatabase),
    production: false,
  };
  const server = createHttpServer(createApp(dependencies));
  const operations = createHttpServer(createOperationsApp(dependencies));
  const [url, operationsUrl] = [await listen(server), await listen(operations)];

  const api: RunningApi = {
    url,
    operationsUrl,
    databaseUrl: test.url,
    applicationUrl: test.applicationUrl,
    polarUrl: emulator.url,
    database,
    dependencies,
    send: createSend(url, firstKey),
    client: (token = firstKey) => createBillingClient({ baseUrl: url, credentials: { serviceKey: token } }),
    async sendRaw(method, path, { as = firstKey, body, key, headers = {} } = {}) {
      const idempotencyKey = key === undefined && method === 'POST' ? randomUUID() : key;
      const response = await fetch(url + path, {
        method,
        headers: {
          ...(as === null ? {} : { authorization: `Bearer ${as}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        redirect: 'manual',
      });
      rememberSession(response);
      const text = await response.text();
      const json: unknown = /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : null;
      return { status: response.status, headers: response.headers, json };
    },
    async *pages(path, as = firstKey) {
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query: string = cursor && `&cursor=${encodeURIComponent(cursor)}`;
        const page = pageSchema.parse((await api.send('GET', path + query, { as })).json);
        yield page.data;
        cursor = page.nextCursor;
      }
    },
    key: (...scopes) =>
      database.transaction((em) => issueServiceKey(em, { name: 'a test', scopes, actor: 'operator:test' })),
    async person(id = `user_${uuidv7().slice(-12)}`) {
      const reply = await api.send('POST', '/v1/users', {
        body: { id, email: `${id}@example.com`, name: id },
      });
      const { team } = z.object({ team: z.object({ id: z.string() }) }).parse(reply.json);
      return { id, token: await personToken(id), teamId: team.id };
    },
    async people<Id extends string>(...ids: Id[]) {
      const people = ids.map(async (id): Promise<[Id, Person]> => [id, await api.person(id)]);
      return Object.fromEntries(await Promise.all(people)) as Record<Id, Person>;
    },
    async team({ token }, members = {}, name = 'Weavers') {
      const teamId = idOf(await api.send('POST', '/v1/teams', { as: token, body: { name } }));
      for (const [id, role] of Object.entries(members)) {
        await api.send('PUT', `/v1/teams/${teamId}/members/${id}`, { body: { role } });
      }
      return teamId;
    },
    async give(teamId, credits) {
      await database.transaction(async (em) => {
        const { now } = await lockLivingTeam(em, teamId);
        const grant = { teamId, source: 'purchase', businessKey: `order:${randomUUID()}` } as const;
        const amount = {
          credits: parseDecimal(credits),
          effectiveAt: now,
          expiresAt: null,
          catalogVersion: 1,
        };
        await grantCredits(em, { ...grant, ...amount }, now);
      });
    },
    async snapshot() {
      const tables = [
        'teams',
        'users',
        'members',
        'inbox',
        'grants',
        'transfers',
        'usage_events',
        'idempotency_keys',
      ];
      const counts = tables.map((table) => `(select count(*) from ${table}) as ${table}`);
      const { rows } = await database.pool.query(
        `select ${counts.join(', ')}, (select sum(available) from grants) as credits,
                (select string_agg(team_id::text || user_id || role, ',' order by team_id, user_id) from members) as roles`,
      );
      return JSON.stringify(rows);
    },
    async stop() {
      dependencies.teamEvents.close();
      for (const one of [server, operations]) {
        await stopServer(one);
      }
      await creditOperations.close();
      await link.close();
      await emulator.stop();
      await apiDatabase.close();
      await database.close();
      await test.drop();
    },
  };
  return api;
}

const pageSchema = z.object({
  data: z.array(z.record(z.string(), z.unknown())),
  nextCursor: z.string().nullable(),
});

/** A user's JWT, valid for five minutes. */
export const personToken = (userId: string, expires: string | Date = '5m') =>
  signToken(jwtSecret, userId, expires);

/** The Standard Webhooks headers for a body, signed as Polar does. */
export function signWebhook(
  body: string,
  { id = `msg_${randomUUID()}`, at = new Date(), secret = webhookSecret } = {},
): Record<string, string> {
  return signAsPolar(secret, id, body, at);
}
