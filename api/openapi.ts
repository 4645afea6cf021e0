import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Express, RequestHandler } from 'express';
import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import { errors } from '../errors.ts';
import { idempotencyKeySchema, type Route } from './define-route.ts';
import { errorsAsHtml } from './describe-errors.ts';
import { problemSchema } from './problem.ts';
import { refusalsOf } from './refusals.ts';

/** The OpenAPI document, made from the schemas that check requests and answers. */
export function describeApi(routes: readonly Route[], publicUrl: string) {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: describeRoute(route) };
  }
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Waveloom Billing',
      version: '1',
      description:
        'Credits of teams: trial, subscriptions, packs, usage. Credits are decimal strings, times ISO 8601 in UTC, ' +
        'errors `application/problem+json` with a stable `code`.',
    },
    servers: [{ url: publicUrl }],
    components: {
      securitySchemes: {
        serviceKey: { type: 'http', scheme: 'bearer', description: 'A service key' },
        person: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A JWT whose sub is the user id',
        },
      },
    },
    paths,
  });
}

/**
 * Swagger UI from our own disk: the files that its page uses, and no other file of its package. Its scripts are files,
 * so the policy needs no inline script.
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
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
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
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    ...describeAccess(route),
    requestParams: {
      ...(params ? { path: params } : {}),
      ...(query ? { query } : {}),
      ...(route.needsIdempotencyKey ? { header: z.object({ 'Idempotency-Key': idempotencyKeySchema }) } : {}),
    },
    ...(body
      ? {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: { 'application/json': { schema: body } },
          },
        }
      : {}),
    responses: describeAnswers(route),
  };
}

function operationId({ method, path }: Route): string {
  const words = path
    .replace(/[{}]/g, '')
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean);
  return [method, ...words.map((word) => word.charAt(0).toUpperCase() + word.slice(1))].join('');
}

function describeAccess({
  access,
  description = '',
}: Route): Pick<ZodOpenApiOperationObject, 'security' | 'description'> {
  if (access === 'public') return { description: `${description}\n\nFor everybody.`.trim(), security: [] };
  const { services = [], persons } = access;
  const who = [
    ...(services.length > 0 ? [`services with the scope ${services.join(' or ')}`] : []),
    ...(persons === 'signedIn' ? ['any person'] : persons ? [`the team’s ${persons.join(', ')}`] : []),
  ].join('; ');
  return {
    description: `${description}\n\nFor ${who}.`.trim(),
    security: [...(services.length > 0 ? [{ serviceKey: [] }] : []), ...(persons ? [{ person: [] }] : [])],
  };
}

function describeAnswers(route: Route): ZodOpenApiResponsesObject {
  const { answers } = route;
  const problem = { 'application/problem+json': { schema: problemSchema } };
  const byStatus = Map.groupBy(refusalsOf(route), (code) => errors[code].status);
  return {
    ...Object.fromEntries(
      [...byStatus].map(([status, codes]) => [
        status,
        {
          description: codes.map((code) => `- \`${code}\`: ${errors[code].action}`).join('\n'),
          content: problem,
        },
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(answers).map(([status, schema]) => [
        status,
        { description: 'OK', ...(schema ? { content: { 'application/json': { schema } } } : {}) },
      ]),
    ),
    default: { description: 'A problem, told apart by its code', content: problem },
  };
}
