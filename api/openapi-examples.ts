import type { createDocument } from 'zod-openapi';

type ApiDocument = ReturnType<typeof createDocument>;

/** The parts of a JSON Schema that the examples use. */
interface Schema {
  $ref?: string;
  examples?: unknown[];
  const?: unknown;
  default?: unknown;
  enum?: unknown[];
  type?: string | string[];
  format?: string;
  minimum?: number;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
}

interface Media {
  schema?: Schema;
  example?: unknown;
}

interface Content {
  content?: Record<string, Media>;
}

interface Operation {
  requestBody?: Content;
  responses?: Record<string, Content>;
}

/**
 * Adds an example to each body and answer, built from the examples of its parts.
 * @throws Error for a text without an example and without a fixed format: add one to its schema
 */
export function addExamples(document: ApiDocument): ApiDocument {
  const schemas = (document.components?.schemas ?? {}) as Record<string, Schema>;
  const paths = [...Object.values(document.paths ?? {}), ...Object.values(document.webhooks ?? {})];
  const operations = paths.flatMap((path) => Object.values(path as Record<string, Operation>));
  const parts = [
    ...operations.flatMap(({ requestBody, responses = {} }) => [requestBody, ...Object.values(responses)]),
    ...Object.values((document.components?.responses ?? {}) as Record<string, Content>),
  ];
  for (const media of parts.flatMap((part) => Object.values(part?.content ?? {})))
    if (media.schema && media.example === undefined) media.example = exampleOf(media.schema, schemas, '');
  return document;
}

function exampleOf(schema: Schema, schemas: Record<string, Schema>, path: string): unknown {
  if (schema.examples?.length) return schema.examples[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    const target = schemas[name];
    if (!target) throw new Error(`there is no schema ${schema.$ref}`);
    return exampleOf(target, schemas, name);
  }
  const choice = schema.allOf?.[0] ?? schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (choice) return exampleOf(choice, schemas, path);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, property]) => [
          name,
          exampleOf(property, schemas, `${path}.${name}`),
        ]),
      );
    case 'array':
      return schema.items ? [exampleOf(schema.items, schemas, `${path}[]`)] : [];
    case 'integer':
    case 'number':
      return Math.max(1, schema.minimum ?? 1);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default: {
      const example = schema.format === undefined ? undefined : exampleByFormat[schema.format];
      if (example === undefined) throw new Error(`the schema ${path} needs an example`);
      return example;
    }
  }
}

const exampleByFormat: Record<string, string> = {
  uuid: '01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52',
  'date-time': '2026-01-31T12:00:00.000Z',
  date: '2026-01-31',
};
