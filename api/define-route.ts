import type { IncomingHttpHeaders } from 'node:http';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { Lane } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import type { ErrorCode } from '../errors.ts';
import type { KeyedRequest } from '../teams/idempotent.ts';
import { type Caller, nameCaller, type Person, unauthenticated } from './authenticate.ts';
import { type Access, authorize, confirmRights, forbidden } from './authorize.ts';
import { keepUncompressed } from './compress-answers.ts';
import type { Dependencies } from './dependencies.ts';
import { createPolarBudget, type PolarBudget } from './polar-budget.ts';
import { invalidRequest, refuseFields } from './problem.ts';
import { createRateLimits, networkOf, type RateLimits, type Rates } from './rate-limits.ts';
import { createUnsignedBodies, hashBody, readBytes, readJson, type UnsignedBodies } from './read-body.ts';
import { refusalsOf } from './refusals.ts';
import { sendChunks } from './send-chunks.ts';
import { demandSameOrigin, readSessionCookie } from './session-cookie.ts';
import { teamIdSchema } from './shapes.ts';
import type { Tag } from './tags.ts';
import { createTurns, type Turns } from './take-turns.ts';

/** A route's request schemas. A body is a strict object. Without `body` none is read. */
type RequestShape = { params?: z.ZodObject; query?: z.ZodObject; body?: z.ZodType } & Readonly<
  Record<string, z.ZodType>
>;

/** A route, defined once: the Express route and the OpenAPI operation are both made from it. */
export interface RouteDefinition<Shape extends RequestShape> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With parameters in braces: `/v1/teams/{teamId}`. */
  path: string;
  /** The operation as a domain verb, unique: generated clients name their function after it. */
  operationId: string;
  tag: Tag;
  summary: string;
  description?: string;
  /** `public`: no authentication. */
  access: Access | 'public';
  /**
   * Whether `Idempotency-Key` is required: for every POST that changes something and is not idempotent by its own id.
   */
  needsIdempotencyKey?: boolean;
  /**
   * The body is read as bytes, for a signature, and not parsed. It is read only if `admit` does not throw, so a
   * request with wrong headers uses no memory.
   */
  rawBody?: { admit(headers: IncomingHttpHeaders): void };
  /**
   * The lane of database connections that it uses. Default: `reads` for a GET, `administration` for everything else.
   */
  lane?: Lane;
  /** Reads much data: only a few of these run at once, per team and in total. */
  heavy?: (request: z.output<z.ZodObject<Shape>>) => boolean;
  /** Calls Polar: counts against the budget of requests to Polar, per team and in total. */
  asksPolar?: boolean;
  /** In bytes. Default: 100 kB; for a `rawBody` 1 MiB. */
  bodyLimitBytes?: number;
  /** A member of the body that is a list. The route checks its items with `checkJson`, so that a hostile item refuses no other. */
  checksItemsOf?: string;
  request: Shape;
  /**
   * The schema of the body in the documentation, if the route itself checks less (each event of a batch separately).
   */
  documentedBody?: z.ZodType;
  /** The schema of each answer by status; null: an answer without JSON. */
  answers: Readonly<Record<number, z.ZodType | null>>;
  /** An answer of 200 is also given as a CSV file, to `Accept: text/csv`: an example of it. */
  csvExample?: string;
  /** The answer of 200 is a stream of server-sent events: the schema of one, as a client reads it. */
  streamedEvent?: z.ZodType;
  /** The answer contains a key or a link that opens something. It is not compressed: `compress-answers.ts`. */
  answersWithSecret?: boolean;
  /** The codes that are particular to this route; `refusalsOf` adds those of its access, parameters and body. */
  refusals?: readonly ErrorCode[];
  handle(request: z.output<z.ZodObject<Shape>>, context: CallContext): Promise<Answer>;
}

/** What a handler gets in addition to its parsed request. */
export interface CallContext {
  dependencies: Dependencies;
  headers: IncomingHttpHeaders;
  /** @throws if the route is public */
  caller(): Caller;
  /** The caller, who is a user. @throws DomainError `forbidden` for a service */
  person(): Person;
  /**
   * Checks again, without a lock, who calls and whether they still may: for an answer that stays open.
   * @throws DomainError `unauthenticated`, `forbidden`, `unknown_team`
   */
  confirmCaller(): Promise<void>;
  /**
   * Locks the team of the path and checks the caller's current rights. Call it first in each transaction that changes
   * a team. @throws DomainError `unauthenticated`, `forbidden`, `unknown_team`
   */
  confirmRights(em: EntityManager): Promise<void>;
  /** The scope and the value of the caller's key. @throws DomainError `idempotency_key_required` */
  idempotency(): KeyedRequest;
  /** The body as it was sent, parsed. */
  body: unknown;
  /** The body's bytes, for a route with `rawBody`. */
  bytes: Buffer;
}

/**
 * `body` is JSON. With `contentType` it is text of that type, and with `filename` it is a download. `chunks` is text that is
 * sent while it is produced: `sendChunks`.
 */
export interface Answer {
  status: number;
  body?: unknown;
  /** Instead of `body`: its JSON, already written. */
  json?: string;
  chunks?: AsyncIterable<string>;
  contentType?: string;
  filename?: string;
  headers?: Readonly<Record<string, string>>;
  /** Sends the answer itself, with its status and headers, and may keep it open. */
  stream?: (response: Response) => void;
}

/** A route for the app and the OpenAPI document, without its types. */
export interface Route extends Omit<RouteDefinition<RequestShape>, 'handle' | 'request' | 'heavy'> {
  request: RequestShape;
  serve(request: Request, response: Response, dependencies: Dependencies, turns: RouteTurns): Promise<void>;
}

/** How many requests of each kind may run at once. One per app. */
export interface RouteTurns {
  heavyReads: Turns;
  reads: Turns;
  administration: Turns;
  downloads: Turns;
  polar: PolarBudget;
  unsignedBodies: UnsignedBodies;
  rates: RateLimits;
}

/**
 * The limit per team and per user is lower than the number of connections of its lane, so neither can use a whole lane. A
 * change of a team may wait for its lock while it uses a connection. A call to Polar uses none.
 */
export function createRouteTurns(rates: Rates): RouteTurns {
  return {
    heavyReads: createTurns({ maxPerOwner: 2, maxInAll: 3 }),
    reads: createTurns({ maxPerOwner: 8, maxInAll: 64 }),
    administration: createTurns({ maxPerOwner: 3, maxInAll: 64 }),
    downloads: createTurns({ maxPerOwner: 2, maxInAll: 8 }),
    polar: createPolarBudget(),
    unsignedBodies: createUnsignedBodies(),
    rates: createRateLimits(rates),
  };
}

/**
 * Makes a route from its definition. For each request, in this order: the caller and their rate limit, the body, the
 * rights, the key, the schemas, then the handler. Outside production it is an error if an answer does not match its
 * schema, or if the route does not list an error's code.
 *
 * The route's `serve` throws DomainError with the codes of `refusalsOf`, for `answerProblem`.
 */
export function defineRoute<Shape extends RequestShape>(definition: RouteDefinition<Shape>): Route {
  const { heavy, ...described } = definition;
  const { handle, request: shape, access } = definition;
  const lane = definition.lane ?? (definition.method === 'get' ? 'reads' : 'administration');
  const schema = z.object(shape);
  const readBody = readJson(definition.bodyLimitBytes ?? 102_400, definition.checksItemsOf);
  const readRaw = readBytes(definition.bodyLimitBytes ?? 1_048_576);

  const serve: Route['serve'] = async (request, response, dependencies, turns) => {
    if (definition.answersWithSecret) keepUncompressed(response);
    const identify = async (access: Access): Promise<Caller> => {
      const known = await authenticate(request, access, dependencies, turns.rates);
      response.locals.caller = nameForLog(known);
      return known;
    };
    const sender = access === 'public' ? undefined : await identify(access);
    if (sender) await turns.rates.countCaller(response, sender);
    const bodyCameLater = shape.body !== undefined && !request.complete;
    const body = shape.body ? await readBody(request, response) : undefined;
    definition.rawBody?.admit(request.headers);
    const bytes = definition.rawBody
      ? await turns.unsignedBodies.count(request, () => readRaw(request, response))
      : Buffer.alloc(0);
    let caller: Caller | undefined;
    if (access !== 'public' && sender) {
      // A caller who lost a right while their body arrived no longer has it.
      caller = bodyCameLater ? await identify(access) : sender;
      const teamId = readTeamId(request);
      await authorize(dependencies.database.lane('authentication'), caller, access, teamId);
      if (teamId !== undefined && lane !== 'spending') await turns.rates.countTeam(response, teamId);
    }
    const idempotencyKey = definition.needsIdempotencyKey ? readIdempotencyKey(request) : undefined;

    refuseUnknownQuery(request, shape.query);
    const parsed = schema.safeParse({ params: request.params, query: request.query, body });
    if (!parsed.success) throw invalidRequest(parsed.error);
    const context: CallContext = {
      dependencies: { ...dependencies, database: dependencies.database.lane(lane) },
      headers: request.headers,
      body,
      bytes,
      caller: () => demand(caller),
      person: () => demandPerson(caller),
      confirmCaller: async () => {
        if (access === 'public') throw new Error(`${definition.path} has no caller`);
        await authorize(
          dependencies.database.lane('authentication'),
          await identify(access),
          access,
          readTeamId(request),
        );
      },
      confirmRights: (em) => {
        const teamId = readTeamId(request);
        if (access === 'public' || teamId === undefined) throw new Error(`${definition.path} has no team`);
        return confirmRights(em, demand(caller), access, teamId);
      },
      idempotency: () => ({
        // A getter, because spends do not use it.
        get scope() {
          return `${nameCaller(demand(caller))} ${request.method} ${pathOf(definition.path, request)}`;
        },
        key: idempotencyKey ?? readIdempotencyKey(request),
        bodyHash: hashBody(body ?? null),
      }),
    };
    const owners = ownersOf(request, caller);
    if (definition.asksPolar) turns.polar.take(owners);
    const work = () => handle(parsed.data, context);
    const waitsIn = heavy?.(parsed.data) ? turns.heavyReads : turnsOf(lane, turns);
    const answer = await (waitsIn ? waitsIn.take(owners, work) : work());
    if (!dependencies.production) checkAnswer(definition, answer);
    const { chunks, stream } = answer;
    if (stream && request.method !== 'HEAD') return stream(response);
    if (chunks === undefined || request.method === 'HEAD') return send(response, answer);
    await turns.downloads.take(owners, () => {
      startAnswer(response, answer);
      return sendChunks(response, chunks);
    });
  };

  return {
    ...described,
    async serve(request, response, dependencies, turns) {
      try {
        await serve(request, response, dependencies, turns);
      } catch (error) {
        if (!dependencies.production) checkRefusal(definition, error);
        throw error;
      }
    },
  };
}

/** A misspelt filter would be ignored, and the answer would contain everything. */
function refuseUnknownQuery({ query }: Request, known: z.ZodObject | undefined): void {
  const unknown = Object.keys(query).filter((name) => !Object.hasOwn(known?.shape ?? {}, name));
  if (unknown.length === 0) return;
  throw refuseFields(
    'invalid_parameters',
    unknown.map((name) => ({ path: `query.${name.slice(0, 50)}`, message: 'unknown query parameter' })),
  );
}

/** An address that sent too many unknown keys may not make us look up more of them. Its known keys still work. */
async function authenticate(
  request: Request,
  { byTokenOnly = false }: Access,
  dependencies: Dependencies,
  rates: RateLimits,
): Promise<Caller> {
  const address = networkOf(request.ip ?? 'closed');
  const lookUpNewKeys = !(await rates.isAddressLimited(address));
  const { headers, method } = request;
  const mayHaveSession = headers.authorization === undefined && !byTokenOnly;
  const session = mayHaveSession ? readSessionCookie(headers.cookie) : undefined;
  if (session !== undefined) demandSameOrigin(method, headers);
  try {
    return await dependencies.authenticate(headers.authorization, { lookUpNewKeys, session });
  } catch (error) {
    if (error instanceof DomainError && error.code === 'unauthenticated')
      await rates.countUnauthenticated(address);
    throw error;
  }
}

/** Spends are limited by the group commit, which leaves out locked teams. */
function turnsOf(lane: Lane, turns: RouteTurns): Turns | undefined {
  if (lane === 'reads') return turns.reads;
  return lane === 'administration' ? turns.administration : undefined;
}

/**
 * The owners of a request for `take-turns.ts` and `polar-budget.ts`: the team of its path, and the user, who may have many teams. A
 * service is none, because it serves many.
 */
function ownersOf({ params }: Request, caller: Caller | undefined): string[] {
  const owners = params.teamId === undefined ? [] : [`team ${String(params.teamId).toLowerCase()}`];
  if (caller?.kind === 'person') owners.push(`user ${caller.userId}`);
  return owners;
}

/** The path in a normal form: ids in another case or percent-encoded give the same key. */
function pathOf(path: string, { params }: Request): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => String(params[name])).toLowerCase();
}

/** Services are identified by their key's id, users by their user id. */
function nameForLog(caller: Caller): string {
  return caller.kind === 'service' ? `service:${caller.keyId}` : 'person';
}

function readTeamId(request: Request): string | undefined {
  if (request.params.teamId === undefined) return undefined;
  const parsed = pathWithTeam.safeParse({ params: request.params });
  if (!parsed.success) throw invalidRequest(parsed.error);
  return parsed.data.params.teamId;
}

const pathWithTeam = z.object({ params: z.object({ teamId: teamIdSchema }) });

function demand(caller: Caller | undefined): Caller {
  if (!caller) throw unauthenticated('This route needs an authenticated caller');
  return caller;
}

function demandPerson(caller: Caller | undefined): Person {
  const known = demand(caller);
  if (known.kind === 'person') return known;
  throw forbidden('Only users may do this, not services', { allowedScopes: [] });
}

/** Keys are chosen by callers: 1 to 255 visible ASCII characters. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, { error: 'expected 1 to 255 visible ASCII characters' })
  .meta({
    description: 'A retry with the same key and body returns the same answer; nothing is done twice',
    examples: ['3f1c9a52-7f0e-4d7a-9a51-0c6d6f1f8e11'],
  });

function readIdempotencyKey(request: Request): string {
  const parsed = idempotencyKeySchema.safeParse(request.headers['idempotency-key']);
  if (parsed.success) return parsed.data;
  throw new DomainError(
    'idempotency_key_required',
    'Send an Idempotency-Key header of 1 to 255 visible ASCII characters: the same for a retry, a new one for a new request',
  );
}

/** An error code that the documentation does not list is a bug. Every test of the route finds it. */
function checkRefusal(route: Omit<Route, 'serve'>, error: unknown): void {
  if (!(error instanceof DomainError) || refusalsOf(route).includes(error.code)) return;
  throw new Error(`${route.method} ${route.path} does not list ${error.code}`, { cause: error });
}

/** An answer that does not match its schema is a bug. Every test of the route finds it. */
function checkAnswer({ answers, method, path }: Omit<Route, 'serve' | 'request'>, answer: Answer): void {
  if (!(answer.status in answers))
    throw new Error(`${method} ${path} does not say that it answers ${answer.status}`);
  if (answer.contentType !== undefined) return;
  const body: unknown = answer.json === undefined ? answer.body : JSON.parse(answer.json);
  const wrong = answers[answer.status]?.safeParse(body).error;
  if (wrong) throw new Error(`${method} ${path} answers what its schema does not allow`, { cause: wrong });
}

function send(response: Response, answer: Answer): void {
  const { body, json, contentType = 'application/json' } = answer;
  startAnswer(response, answer);
  if (json !== undefined) response.send(json);
  else if (body === undefined) response.end();
  else if (typeof body === 'string' && contentType !== 'application/json') response.send(body);
  else response.send(JSON.stringify(body));
}

function startAnswer(
  response: Response,
  { status, headers = {}, contentType, filename, body, json, chunks }: Answer,
): void {
  response.status(status).set(headers);
  if (filename !== undefined) response.attachment(filename);
  if (body !== undefined || json !== undefined || chunks !== undefined)
    response.type(contentType ?? 'application/json');
}
