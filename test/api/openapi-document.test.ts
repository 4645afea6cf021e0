import { expect, test } from '@jest/globals';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import spectralCore from '@stoplight/spectral-core';
import spectralRulesets from '@stoplight/spectral-rulesets';
import { z } from 'zod';
import { routes } from '../../api/app.ts';
import { describeApi } from '../../api/openapi.ts';
import { refusalsOf } from '../../api/refusals.ts';
import { tags } from '../../api/tags.ts';
import { errors } from '../../errors.ts';

const media = z.looseObject({ schema: z.looseObject({ $ref: z.string().optional() }), example: z.unknown() });
const response = z.looseObject({
  $ref: z.string().optional(),
  headers: z.record(z.string(), z.unknown()).optional(),
  content: z.record(z.string(), media).optional(),
});
const operation = z.looseObject({
  operationId: z.string(),
  tags: z.array(z.string()),
  parameters: z.array(z.looseObject({ name: z.string(), schema: z.looseObject({}) })).optional(),
  requestBody: z.looseObject({ content: z.record(z.string(), media) }).optional(),
  responses: z.record(z.string(), response),
});
const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.looseObject({
    schemas: z.record(z.string(), z.looseObject({})),
    responses: z.record(z.string(), response),
  }),
  tags: z.array(z.looseObject({ name: z.string() })),
});

const source = JSON.stringify(describeApi(routes, 'https://billing.waveloom.app'));
const document = documentSchema.parse(JSON.parse(source));
const operationOf = ({ path, method }: { path: string; method: string }) => {
  const found = document.paths[path]?.[method];
  if (!found) throw new Error(`${method} ${path} is not described`);
  const responses = Object.entries(found.responses).map(([status, { $ref, ...answer }]) => [
    status,
    $ref === undefined ? answer : document.components.responses[$ref.replace('#/components/responses/', '')],
  ]);
  return { ...found, responses: Object.fromEntries(responses) as typeof found.responses };
};

test('the document passes the recommended rules of Redocly', async () => {
  const config = await createConfig({ extends: ['recommended'] });
  expect(await lintFromString({ source, config })).toEqual([]);
});

test('the document passes the recommended rules of Spectral', async () => {
  const spectral = new spectralCore.Spectral();
  spectral.setRuleset(new spectralCore.Ruleset({ extends: [[spectralRulesets.oas, 'recommended']] }));
  expect(await spectral.run(JSON.parse(source))).toEqual([]);
});

test('each operation has a unique id that begins with a verb, and tags that are described', () => {
  const operations = routes.map(operationOf);
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[a-z]+[A-Z]\w+$/);
  expect(new Set(operations.flatMap((one) => one.tags))).toEqual(new Set(Object.keys(tags)));
  expect(document.tags.map(({ name }) => name)).toEqual(Object.keys(tags));
});

test('every JSON body and answer is a named schema', () => {
  for (const one of routes.map(operationOf)) {
    const parts = [one.requestBody, ...Object.values(one.responses)];
    for (const [type, { schema }] of parts.flatMap((part) => Object.entries(part?.content ?? {}))) {
      if (!type.includes('json')) continue;
      const references = JSON.stringify(schema).match(/#\/components\/schemas\/\w+/g) ?? [];
      expect({ operation: one.operationId, schema, references }).toMatchObject({
        references: [expect.any(String)],
      });
    }
  }
});

test('no object is described twice inline', () => {
  const seen = new Map<string, string>();
  const twice: string[] = [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('properties' in value) {
      const text = JSON.stringify(value);
      const first = seen.get(text);
      if (first !== undefined) twice.push(`${first} = ${path}`);
      seen.set(text, path);
    }
    for (const [key, member] of Object.entries(value))
      if (key !== 'example' && key !== 'examples') visit(member, `${path}/${key}`);
  };
  visit(document.components.schemas, 'schemas');
  visit(document.paths, 'paths');
  expect(twice).toEqual([]);
});

test('the example of each body and answer is accepted by the schema that checks it', () => {
  for (const route of routes) {
    const { operationId, requestBody, responses } = operationOf(route);
    const body = route.documentedBody ?? route.request.body;
    if (body) {
      const { example } = requestBody?.content['application/json'] ?? {};
      expect({ operationId, wrong: body.safeParse(example).error }).toEqual({
        operationId,
        wrong: undefined,
      });
    }
    for (const [status, schema] of Object.entries(route.answers)) {
      if (!schema) continue;
      const { example } = responses[status]?.content?.['application/json'] ?? {};
      const wrong = schema.safeParse(example).error;
      expect({ operationId, status, wrong }).toEqual({ operationId, status, wrong: undefined });
    }
  }
});

test('each refusal of a route is described under its status, whose problems have the codes of the table', () => {
  for (const route of routes) {
    const { responses } = operationOf(route);
    for (const code of refusalsOf(route)) {
      const { status } = errors[code];
      const described = responses[status];
      expect(described).toMatchObject({ description: expect.stringContaining(`\`${code}\``) });
      expect(described?.content?.['application/problem+json']?.schema.$ref).toBe(
        `#/components/schemas/Problem${status}`,
      );
      const codes = Object.entries(errors).flatMap(([one, entry]) => (entry.status === status ? [one] : []));
      expect(document.components.schemas[`Problem${status}`]).toMatchObject({
        properties: { code: { enum: codes } },
      });
    }
  }
});

test('every operation with a caller describes 401 and 403; every answer names its request; a retry says when', () => {
  for (const route of routes) {
    const { responses } = operationOf(route);
    if (route.access !== 'public') {
      expect(responses).toMatchObject({ 401: { headers: { 'WWW-Authenticate': {} } }, 403: {} });
    }
    for (const [status, { headers }] of Object.entries(responses)) {
      expect({ status, headers }).toMatchObject({ headers: { 'X-Request-Id': {} } });
      if (status === '429' || status === '503') expect(headers).toHaveProperty('Retry-After');
    }
  }
});

test('the usage report takes its columns as an array and is also a CSV file', () => {
  const { parameters, responses } = operationOf({ path: '/v1/teams/{teamId}/usage', method: 'get' });
  expect(parameters?.find(({ name }) => name === 'groupBy')).toMatchObject({
    style: 'form',
    explode: false,
    schema: {
      type: 'array',
      items: {
        anyOf: [
          { enum: ['day', 'hour', 'action', 'model', 'member', 'key', 'run'] },
          { pattern: '^tag:[A-Za-z][A-Za-z0-9_-]{0,31}$' },
        ],
      },
    },
  });
  expect(responses['200']?.content).toMatchObject({
    'application/json': { schema: { $ref: '#/components/schemas/UsageReport' } },
    'text/csv': { schema: { type: 'string' } },
  });
});
