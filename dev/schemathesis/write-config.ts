import { routes } from '../../api/app.ts';
import { changeKinds } from '../../api/team-events.ts';
import type { Caller } from './seed.ts';

/** The share of parameters that get an existing id. The others get random values. */
const idProbability = 0.7;

/** Statuses of valid requests that the state of a team or the caller's rights refuse. */
const refusals = ['2xx', '401', '402', '403', '404', '409', '410', '422', '429', '503'];

/** Values that the document can describe only in words: the years 2000 to 2200, the names of time zones. */
const described = {
  time: [
    '2026-01-31T12:00:00Z',
    '2000-01-01T00:00:00.000Z',
    '2026-10-25T02:30:00+02:00',
    '2200-12-31T23:59:59Z',
  ],
  timezone: ['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'Australia/Lord_Howe'],
};

/** A `Last-Event-ID` that matches no state: everything has changed since then. */
const oldEventId = changeKinds.map(() => '0'.repeat(12)).join('-');

/** `schemathesis.toml` of a caller. TOML reads JSON's strings, numbers and arrays. */
export function writeConfig({ token, ids, doomed }: Caller, seed: number, examples: number): string {
  const dictionaries = {
    ...ids,
    ...Object.fromEntries(Object.entries(doomed).map(([name, list]) => [`doomed_${name}`, list])),
    ...described,
    action: ['workflow.run', 'model.gpt-5'],
  };
  return [
    `seed = ${seed}`,
    'continue-on-failure = true',
    'request-timeout = 30',
    'warnings = false',
    '[headers]',
    `Authorization = ${JSON.stringify(`Bearer ${token}`)}`,
    '[generation]',
    `max-examples = ${examples}`,
    'no-shrink = true',
    'database = "none"',
    '[checks.positive_data_acceptance]',
    `expected-statuses = ${JSON.stringify(refusals)}`,
    // A sequence of requests takes a null of an answer as the id of the next request.
    '[phases.stateful.checks.positive_data_acceptance]',
    `expected-statuses = ${JSON.stringify([...refusals, '400'])}`,
    ...Object.entries(dictionaries).flatMap(([name, values]) => [
      `[dictionaries.${name}]`,
      `values = ${JSON.stringify(values)}`,
    ]),
    '[parameters]',
    ...Object.keys(ids).map((name) => `"path.${name}" = ${bind(name, idProbability)}`),
    `"body.action" = ${bind('action', idProbability)}`,
    `"body.memberId" = ${bind('memberId', idProbability)}`,
    ...['query.from', 'query.to', 'query.at', 'body.occurredAt', 'body.expiresAt'].map(
      (name) => `"${name}" = ${bind('time', 1)}`,
    ),
    `"query.timezone" = ${bind('timezone', 1)}`,
    ...routes.flatMap(({ method, path, operationId, request, streamedEvent }) => {
      const settings: string[] = [];
      // A stream has no end. With this id it begins with an event, after which Schemathesis stops reading.
      if (streamedEvent !== undefined) {
        settings.push(
          'max-stream-events = 1',
          `headers = { "Last-Event-ID" = ${JSON.stringify(oldEventId)} }`,
        );
      }
      // Random values are 400: a cursor must be the `nextCursor` of a page, and a time zone must exist.
      if (request.query?.shape.cursor !== undefined || request.query?.shape.timezone !== undefined) {
        settings.push(
          '[operations.checks.positive_data_acceptance]',
          `expected-statuses = ${JSON.stringify([...refusals, '400'])}`,
        );
      }
      // Each event of a batch is refused separately, in an answer of 200.
      if (operationId === 'recordUsageBatch') {
        const rejected = '200 400 401 403 404 405 406 409 413 415 422 428 429'.split(' ');
        settings.push(
          '[operations.checks.negative_data_rejection]',
          `expected-statuses = ${JSON.stringify(rejected)}`,
        );
      }
      const last = /\{(\w+)\}$/.exec(path)?.[1] ?? '';
      if (method === 'delete' && last in doomed && !path.includes('/members/'))
        settings.push('[operations.parameters]', `"path.${last}" = ${bind(`doomed_${last}`, idProbability)}`);
      if (settings.length === 0) return [];
      return ['[[operations]]', `include-operation-id = ${JSON.stringify(operationId)}`, ...settings];
    }),
    '',
  ].join('\n');
}

function bind(dictionary: string, probability: number): string {
  return `{ dictionary = ${JSON.stringify(dictionary)}, probability = ${probability} }`;
}
