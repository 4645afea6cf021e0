import { createHash } from 'node:crypto';
import { z } from 'zod';
import { routes } from '../../api/app.ts';
import { describeApi } from '../../api/openapi.ts';

/**
 * The OpenAPI document, reduced to what the client's types need. Without examples, without the headers of answers, and with
 * one `Problem` for all errors of an operation, the types are a tenth of the size. The client sets `Idempotency-Key`, so
 * callers may leave it out.
 */
export function describeApiForClient(): ClientDocument {
  const { openapi, info, paths, components } = documentSchema.parse(
    withoutUntyped(JSON.parse(JSON.stringify(describeApi(routes, 'https://billing.waveloom.app')))),
  );
  const schemas = Object.entries(components.schemas).filter(([name]) => !/^Problem\d+$/.test(name));
  return {
    openapi,
    info,
    paths: mapValues(paths, (operations) => mapValues(operations, reduceOperation)),
    components: { ...components, schemas: Object.fromEntries(schemas) },
  };
}

/** A short hash of each operation and schema, by its name. Two branches that change different ones merge without a conflict. */
export function fingerprintsOf({ paths, components }: ClientDocument): Record<string, string> {
  const operations = Object.entries(paths).flatMap(([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => [`${method} ${path}`, operation] as const),
  );
  const parts = Object.entries(components).flatMap(([kind, byName]) =>
    Object.entries(byName).map(([name, part]) => [`${kind}/${name}`, part] as const),
  );
  return Object.fromEntries(
    [...operations, ...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, part]) => [name, hash(part)]),
  );
}

const operationSchema = z.looseObject({
  parameters: z
    .array(z.looseObject({ name: z.string(), in: z.string(), required: z.boolean().optional() }))
    .optional(),
  responses: z.record(z.string(), z.unknown()),
});

const documentSchema = z.object({
  openapi: z.string(),
  info: z.unknown(),
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z
    .looseObject({ schemas: z.record(z.string(), z.unknown()) })
    .catchall(z.record(z.string(), z.unknown())),
});

export type ClientDocument = z.output<typeof documentSchema>;

function reduceOperation(operation: z.output<typeof operationSchema>): z.output<typeof operationSchema> {
  const { parameters, responses } = operation;
  return {
    ...operation,
    ...(parameters
      ? {
          parameters: parameters.map((one) =>
            one.in === 'header' && one.name === 'Idempotency-Key' ? { ...one, required: false } : one,
          ),
        }
      : {}),
    responses: Object.fromEntries(
      Object.entries(responses).filter(([status]) => status.startsWith('2') || status === 'default'),
    ),
  };
}

const untypedKeys = ['example', 'examples', 'headers'];

function withoutUntyped(value: unknown, isMapOfNames = false): unknown {
  if (Array.isArray(value)) return value.map((one) => withoutUntyped(one));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => isMapOfNames || !untypedKeys.includes(key))
      .map(([key, member]) => [key, withoutUntyped(member, key === 'properties')]),
  );
}

function mapValues<Value, Mapped>(
  record: Record<string, Value>,
  map: (value: Value) => Mapped,
): Record<string, Mapped> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}
