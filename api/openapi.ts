import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Express, RequestHandler } from 'express';
import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi';
import { type ErrorCode, errors } from '../errors.ts';
import { idempotencyKeySchema, type Route } from './define-route.ts';
import { errorsAsHtml } from './describe-errors.ts';
import { describeWebhooks } from './describe-webhooks.ts';
import { addExamples } from './openapi-examples.ts';
import { problemSchema } from './problem.ts';
import { refusalsOf } from './refusals.ts';
import { sessionCookieName } from './session-cookie.ts';
import { tags } from './tags.ts';

/** The OpenAPI document, made from the schemas that check requests and answers, and from the table of errors. */
export function describeApi(routes: readonly Route[], publicUrl: string) {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: describeRoute(route) };
  }
  const document = createDocument(
    {
      openapi: '3.1.0',
      info: {
        title: 'Waveloom Billing',
        version: '1',
        description:
          'Credits of teams: trial, subscriptions, packs and usage. Credits are decimal strings, times are ISO 8601 in UTC, ' +
          'errors are `application/problem+json` with a stable `code`.',
        contact: { name: 'The Waveloom billing team', url: publicUrl },
        license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' },
      },
      servers: [{ url: publicUrl }],
      tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          serviceKey: { type: 'http', scheme: 'bearer', description: 'A service key' },
          person: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'A JWT whose sub is the user id',
          },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: sessionCookieName,
            description: 'A session of a user in a browser, from `POST /session`',
          },
        },
      },
      paths,
      webhooks: describeWebhooks(),
    },
    { override: ({ jsonSchema }) => dropPatternOfFormat(jsonSchema) },
  );
  return addExamples(document);
}

/** A format is clearer than the pattern of 250 characters that zod adds to it. */
function dropPatternOfFormat(jsonSchema: { format?: string; pattern?: string }): void {
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
}

/**
 * Swagger UI from our own disk: only the files of its package that the page needs. Its scripts and styles are files, so that
 * the policy allows nothing inline.
 */
export function serveDocs(app: Express): void {
  const assets = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  app.get('/docs', docsPolicy, (_request, response) => void response.type('html').send(page));
  app.get('/docs/errors', docsPolicy, (_request, response) => void response.type('html').send(errorsPage));
  app.get('/docs/start.js', docsPolicy, (_request, response) => void response.type('js').send(script));
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']) {
    app.get(`/docs/${file}`, docsPolicy, (_request, response) =>
      response.sendFile(file, { root: assets, maxAge: '1h' }),
    );
  }
}

const docsPolicy: RequestHandler = (_request, response, next) => {
  response.setHeader(
    'Content-Security-Policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
      "font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
  );
  next();
};

const errorsPage = errorsAsHtml();

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Waveloom Billing API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
`;

const script = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, persistAuthorization: false });\n`;

function describeRoute(route: Route): ZodOpenApiOperationObject {
  const { params, query } = route.request;
  const body = route.documentedBody ?? route.request.body;
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    ...describeAccess(route),
    requestParams: {
      ...(params ? { path: params } : {}),
      ...(query ? { query } : {}),
      ...(route.needsIdempotencyKey ? { header: idempotencyHeader } : {}),
    },
    ...(body
      ? {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: { 'application/json': { schema: body } },
          },
        }
      : {}),
    ...(route.rawBody
      ? { requestBody: { required: true, content: { 'application/json': { schema: rawBody } } } }
      : {}),
    responses: describeAnswers(route),
  };
}

const idempotencyHeader = z.object({ 'Idempotency-Key': idempotencyKeySchema });

const rawBody = z.looseObject({ type: z.string(), timestamp: z.iso.datetime(), data: z.unknown() }).meta({
  id: 'PolarWebhook',
  description: 'An event as Polar sends it, signed over its bytes',
  examples: [{ type: 'order.paid', timestamp: '2026-01-31T12:00:00.000Z', data: {} }],
});

function describeAccess({
  access,
  description = '',
}: Route): Pick<ZodOpenApiOperationObject, 'security' | 'description'> {
  if (access === 'public')
    return { description: `${description}\n\nNo authentication.`.trim(), security: [] };
  const { services = [], persons, byTokenOnly = false } = access;
  const callers = [
    ...(services.length > 0 ? [`services with the scope ${services.join(' or ')}`] : []),
    ...(persons === 'signedIn' ? ['any user'] : persons ? [`users with the role ${persons.join(', ')}`] : []),
  ].join('; ');
  return {
    description: `${description}\n\nCallers: ${callers}.`.trim(),
    security: [
      ...(services.length > 0 ? [{ serviceKey: [] }] : []),
      ...(persons ? [{ person: [] }] : []),
      ...(persons && !byTokenOnly ? [{ session: [] }] : []),
    ],
  };
}

function describeAnswers(route: Route): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy(refusalsOf(route), (code) => errors[code].status);
  return {
    ...Object.fromEntries(
      [...byStatus].map(([status, codes]) => [status, describeRefusals(route, status, codes)]),
    ),
    ...Object.fromEntries(
      Object.entries(route.answers).map(([status, schema]) => [
        status,
        {
          description: descriptionOf(Number(status)),
          headers: route.access === 'public' ? requestIdHeader : countedHeaders,
          ...(schema ? { content: { 'application/json': { schema }, ...describeCsv(route) } } : {}),
          ...describeEventStream(route),
        },
      ]),
    ),
    default: unexpectedError,
  };
}

function descriptionOf(status: number): string {
  switch (status) {
    case 201:
      return 'Created. A retry with the same Idempotency-Key returns the same answer';
    case 202:
      return 'Accepted. The work is done in the background';
    case 204:
      return 'Done. The answer has no body';
    default:
      return 'OK';
  }
}

function describeCsv({ csvExample }: Route): ZodOpenApiResponseObject['content'] {
  return csvExample === undefined
    ? {}
    : {
        'text/csv': {
          schema: { type: 'string', description: 'RFC 4180, with a header' },
          example: csvExample,
        },
      };
}

/** OpenAPI 3.1 cannot describe a stream, so the schema is that of one event. */
function describeEventStream({ streamedEvent }: Route): Pick<ZodOpenApiResponseObject, 'content'> {
  return streamedEvent === undefined ? {} : { content: { 'text/event-stream': { schema: streamedEvent } } };
}

/** The problems of one status: each possible code of the route, and what the caller should do. */
function describeRefusals(
  { access }: Route,
  status: number,
  codes: readonly ErrorCode[],
): ZodOpenApiResponseObject {
  const retriable = codes.some((code) => errors[code].retriable);
  return {
    description: codes.map((code) => `- \`${code}\`: ${errors[code].action}`).join('\n'),
    headers: z.object({
      ...(access === 'public' || status === 401 ? requestIdHeader : countedHeaders).shape,
      ...(retriable ? { 'Retry-After': retryAfter } : {}),
      ...(status === 401 ? { 'WWW-Authenticate': wwwAuthenticate } : {}),
    }),
    content: {
      'application/problem+json': { schema: problemOf(status), example: exampleOf(codes) },
    },
  };
}

const requestIdHeader = z.object({
  'X-Request-Id': z.uuid().meta({
    description: 'Names the request in our log',
    header: { id: 'X-Request-Id' },
  }),
});
const unexpectedError: ZodOpenApiResponseObject = {
  id: 'UnexpectedError',
  description: 'An unexpected error',
  headers: requestIdHeader,
  content: { 'application/problem+json': { schema: problemSchema } },
};
/** Draft-ietf-httpapi-ratelimit-headers. An error before the count has neither. */
const countedHeaders = requestIdHeader.extend({
  'RateLimit-Policy': z
    .string()
    .optional()
    .meta({
      description: 'The limits that count this request: `q` requests within `w` seconds',
      header: { id: 'RateLimit-Policy' },
      examples: ['"person";q=1200;w=60'],
    }),
  RateLimit: z
    .string()
    .optional()
    .meta({
      description:
        'For each limit of `RateLimit-Policy`: `r` requests are left, and the count starts again after `t` seconds',
      header: { id: 'RateLimit' },
      examples: ['"person";r=1199;t=60'],
    }),
});
const retryAfter = z
  .string()
  .optional()
  .meta({ description: 'Seconds to wait before a retry', header: { id: 'Retry-After' }, examples: ['1'] });
const wwwAuthenticate = z
  .string()
  .meta({ description: 'The authentication that is needed', header: { id: 'WWW-Authenticate' } });

const problemSchemas = new Map<number, z.ZodType>();

/** Problems of one status: their code is one of the table's codes of this status. */
function problemOf(status: number): z.ZodType {
  const known = problemSchemas.get(status);
  if (known) return known;
  const codes = Object.entries(errors).flatMap(([code, entry]) => (entry.status === status ? [code] : []));
  const schema = problemSchema
    .extend({ status: z.literal(status), code: z.enum(codes) })
    .meta({ id: `Problem${status}` });
  problemSchemas.set(status, schema);
  return schema;
}

function exampleOf([code]: readonly ErrorCode[]): z.output<typeof problemSchema> {
  if (code === undefined) throw new Error('a status needs a code');
  const { status, title, action, retriable } = errors[code];
  return { type: `/docs/errors#${code}`, title, status, code, detail: action, retriable };
}
