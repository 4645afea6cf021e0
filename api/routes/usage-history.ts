import { z } from 'zod';
import { decimalOut, formatCredits } from '../../catalog/credits.ts';
import { accounts, type TransferKind, transferKinds } from '../../database/entities/transfer.ts';
import { exportedColumns, exportUsageEvents } from '../../ledger/read/export-usage-events.ts';
import { listTransfers } from '../../ledger/read/list-transfers.ts';
import { listUsageEvents } from '../../ledger/read/list-usage-events.ts';
import { reportUsage, type UsageReport } from '../../ledger/read/report-usage.ts';
import { type UsageKey, usageKeys } from '../../ledger/read/usage-keys.ts';
import { anyRole } from '../authorize.ts';
import { csvLine, csvType, wantsCsv } from '../csv.ts';
import { defineRoute } from '../define-route.ts';
import {
  actionSchema,
  grantSourceOut,
  instantIn,
  instantOut,
  listQuery,
  pageOf,
  tagNamePattern,
  teamParams,
  timezoneIn,
} from '../shapes.ts';
import { usageEventJson, usageEventOut } from '../usage-event.ts';

const readers = { services: ['usage', 'billing', 'admin'], persons: anyRole } as const;

const range = {
  from: instantIn.exactOptional(),
  to: instantIn.exactOptional().meta({ description: 'Exclusive', examples: ['2026-02-01T00:00:00Z'] }),
};

const mostKeys = 8;

function isUsageKey(key: unknown): key is UsageKey {
  if (typeof key !== 'string') return false;
  const known: readonly string[] = usageKeys;
  return known.includes(key) || (key.startsWith('tag:') && tagNamePattern.test(key.slice('tag:'.length)));
}

const groupBy = z
  .codec(z.string().max(300), z.array(z.custom<UsageKey>(isUsageKey)).min(1), {
    decode: (list, context) => {
      const keys = list.split(',');
      if (keys.every(isUsageKey) && keys.length <= mostKeys) return keys;
      const message = `expected at most ${mostKeys} of ${usageKeys.join(', ')} and tag:{name}, separated by commas`;
      context.issues.push({ code: 'custom', input: list, message });
      return z.NEVER;
    },
    encode: (keys) => keys.join(','),
  })
  .default(['day'])
  .meta({
    description:
      'The columns to group by, separated by commas. `tag:{name}` is the value of a tag; `hour` is a local hour with its offset from UTC.',
    param: { style: 'form', explode: false },
    override: ({ jsonSchema }) => {
      delete jsonSchema.maxLength;
      Object.assign(jsonSchema, {
        type: 'array',
        items: {
          anyOf: [
            { type: 'string', enum: [...usageKeys] },
            { type: 'string', pattern: `^tag:${tagNamePattern.source.slice(1)}` },
          ],
        },
        minItems: 1,
        maxItems: mostKeys,
        default: ['day'],
        examples: [['day', 'model']],
      });
    },
  });

/** A link in a page cannot set `Accept`. */
const formatIn = z.enum(['json', 'csv']).meta({ description: 'Takes precedence over Accept' });

const usageSumShape = { credits: decimalOut, events: z.int() };
const keyOut = (description: string, example: string) =>
  z
    .string()
    .nullable()
    .optional()
    .meta({ description, examples: [example] });
const usageRowOut = z
  .object({
    day: z.iso.date().optional(),
    hour: keyOut('The local hour, with its offset from UTC', '2026-01-31T09:00:00+01:00'),
    action: z
      .string()
      .optional()
      .meta({ examples: ['model.gpt-5'] }),
    model: keyOut('Null: the action has no AI model', 'gpt-5'),
    member: keyOut('Null: the usage named no member', 'user_42'),
    key: keyOut('Null: the usage named no API key', 'key_7f3a'),
    run: keyOut('Null: the usage named no run', 'run_8f2c'),
    ...usageSumShape,
  })
  .catchall(z.string().nullable())
  .meta({
    id: 'UsageRow',
    description: 'The requested keys and their sum; `tag:{name}` is null for usage without that tag',
    examples: [{ day: '2026-01-31', model: 'gpt-5', credits: '12.5', events: 3 }],
  });
const reportOut = z
  .strictObject({
    from: instantOut,
    to: instantOut,
    timezone: z.string().meta({ examples: ['Europe/Berlin'] }),
    data: z.array(usageRowOut),
    total: z.strictObject(usageSumShape).meta({ id: 'UsageTotal' }),
  })
  .meta({ id: 'UsageReport' });

/** A value of the filter; empty: events without one. */
const valueOrNone = z.codec(z.string().max(128), z.string().nullable(), {
  decode: (text) => (text === '' ? null : text),
  encode: (value) => value ?? '',
});
const tagFilter = z.codec(
  z
    .string()
    .max(140)
    .regex(new RegExp(`${tagNamePattern.source.slice(0, -1)}:`), { error: 'expected name:value' }),
  z.object({ name: z.string(), value: z.string().nullable() }),
  {
    decode: (text) => {
      const colon = text.indexOf(':');
      return { name: text.slice(0, colon), value: text.slice(colon + 1) || null };
    },
    encode: ({ name, value }) => `${name}:${value ?? ''}`,
  },
);

/** The values of a report's row select its events. */
const filterQuery = {
  action: actionSchema.exactOptional(),
  model: valueOrNone.exactOptional().meta({ examples: ['gpt-5'] }),
  member: valueOrNone.exactOptional().meta({ examples: ['user_42'] }),
  key: valueOrNone.exactOptional().meta({ examples: ['key_7f3a'] }),
  run: valueOrNone.exactOptional().meta({ examples: ['run_8f2c'] }),
  step: valueOrNone.exactOptional().meta({ examples: ['summarise'] }),
  tag: tagFilter.exactOptional().meta({
    description: 'name:value; without a value: events without this tag',
    override: { examples: ['project:website'] },
  }),
};

function isTransferKind(text: string): text is TransferKind {
  const known: readonly string[] = transferKinds;
  return known.includes(text);
}

const transferKindsIn = z
  .codec(z.string().max(120), z.array(z.custom<TransferKind>()), {
    decode: (list, context) => {
      const kinds = list.split(',');
      if (kinds.every(isTransferKind)) return kinds;
      const message = `expected one or more of ${transferKinds.join(', ')}, separated by commas`;
      context.issues.push({ code: 'custom', input: list, message });
      return z.NEVER;
    },
    encode: (kinds) => kinds.join(','),
  })
  .meta({
    description: 'Only transfers of these kinds, separated by commas',
    param: { style: 'form', explode: false },
    override: ({ jsonSchema }) => {
      delete jsonSchema.maxLength;
      Object.assign(jsonSchema, {
        type: 'array',
        items: { type: 'string', enum: [...transferKinds] },
        minItems: 1,
        examples: [['grant', 'expire']],
      });
    },
  });

const transferOut = z
  .strictObject({
    id: z.string().meta({ examples: ['1042'] }),
    at: instantOut,
    kind: z.enum(transferKinds),
    grantId: z.guid(),
    source: grantSourceOut,
    from: z.enum(accounts),
    to: z.enum(accounts),
    credits: decimalOut,
    usageEventId: z.guid().nullable(),
    reference: z
      .string()
      .nullable()
      .meta({ description: 'The cause, if it is not a usage event', examples: ['order:0b7d6f0e'] }),
  })
  .meta({ id: 'Transfer' });

export const usageHistoryRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/usage',
    tag: 'Usage',
    operationId: 'reportUsage',
    summary: 'Report the usage by day, hour, action, model, member, key, run and tags',
    description:
      'At most 400 days; by default the last 30 days including today. The filters are those of the list of usage events. With Accept: text/csv, or format=csv for a link, the report is a CSV file (RFC 4180).',
    access: readers,
    request: {
      params: teamParams,
      query: z.object({
        ...range,
        groupBy,
        timezone: timezoneIn.default('UTC'),
        ...filterQuery,
        format: formatIn.exactOptional(),
      }),
    },
    heavy: () => true,
    answers: { 200: reportOut },
    csvExample: 'day,credits,events\r\n2026-01-31,12.5,3\r\n',
    refusals: ['empty_range', 'range_too_long', 'report_too_large', 'unknown_timezone'],
    async handle({ params: { teamId }, query }, { dependencies: { database }, headers }) {
      const { from, to, groupBy, timezone, format, ...filter } = query;
      const report = await reportUsage(database, { teamId, from, to, groupBy, timezone, filter });
      if (format === 'csv' || (format === undefined && wantsCsv(headers.accept))) {
        return {
          status: 200,
          body: toCsv(report),
          contentType: csvType,
          filename: 'usage.csv',
        };
      }
      return { status: 200, json: reportJson(report, timezone) };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/usage/events',
    tag: 'Usage',
    operationId: 'listUsageEvents',
    summary: 'List the usage events with their receipts, by occurredAt, newest first',
    description:
      'The filters take the values of a report’s row. An empty value selects the events without one: `member=` selects those that name no member. With Accept: text/csv the answer is a CSV file (RFC 4180) of all events of the range: `limit` and `cursor` have no effect. If the file cannot be completed, the connection is closed without the end of the answer.',
    access: readers,
    request: { params: teamParams, query: listQuery.extend({ ...range, ...filterQuery }) },
    heavy: ({ query: { from, to, limit, cursor, ...filter } }) => Object.keys(filter).length > 0,
    answers: { 200: pageOf('UsageEventPage', usageEventOut) },
    csvExample:
      'id,occurredAt,recordedAt,action,quantities,credits,priceVersion,memberId,apiKeyId,runId,stepId,tags\r\n' +
      '01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52,2026-01-31T12:00:00.000Z,2026-01-31T12:00:01.000Z,web.page,"{""pages"":""3""}",0.6,1,user_42,,run_8f2c,,\r\n',
    async handle({ params: { teamId }, query }, { dependencies: { database }, headers }) {
      const { from, to, limit, cursor, ...filter } = query;
      if (wantsCsv(headers.accept)) {
        const pages = exportUsageEvents(database.pool, teamId, { from, to }, filter);
        return {
          status: 200,
          chunks: await withHeader(pages),
          contentType: csvType,
          filename: 'usage-events.csv',
        };
      }
      const range = { from, to, limit, cursor };
      const { data, nextCursor } = await listUsageEvents(database.pool, teamId, range, filter);
      const body = { data: data.map(usageEventJson), nextCursor };
      return { status: 200, body };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/v1/teams/{teamId}/ledger',
    tag: 'Credits',
    operationId: 'listTransfers',
    summary: 'List the transfers of the team’s credits, newest first',
    access: readers,
    request: {
      params: teamParams,
      query: listQuery.extend({ ...range, kind: transferKindsIn.exactOptional() }),
    },
    answers: { 200: pageOf('TransferPage', transferOut) },
    async handle({ params: { teamId }, query: { kind, ...query } }, { dependencies: { database } }) {
      const { data, nextCursor } = await listTransfers(database.pool, teamId, query, kind);
      const transfers = data.map((transfer) => ({
        ...transfer,
        at: transfer.at.toISOString(),
        credits: formatCredits(transfer.credits),
      }));
      return { status: 200, body: { data: transfers, nextCursor } };
    },
  }),
];

/** Written by hand, because a report may have 50,000 rows: an object for each row takes twice as long. */
function reportJson({ from, to, columns, rows, credits, events }: UsageReport, timezone: string): string {
  const fields = columns.map(createFieldWriter);
  let data = '';
  for (const row of rows) {
    data += data === '' ? '{' : ',{';
    for (const [index, write] of fields.entries()) data += write(row.keys[index] ?? null);
    data += `${sumsJson(row.credits, row.events)}}`;
  }
  const range = JSON.stringify({ from, to, timezone }).slice(1, -1);
  return `{${range},"data":[${data}],"total":{${sumsJson(credits, events)}}}`;
}

/** Writes a column's field with a comma. The same few values are in many rows, so each is written once. */
function createFieldWriter(column: UsageKey): (value: string | null) => string {
  const written = new Map<string | null, string>();
  return (value) => {
    let field = written.get(value);
    if (field === undefined) {
      field = `${JSON.stringify(column)}:${JSON.stringify(value)},`;
      written.set(value, field);
    }
    return field;
  };
}

function sumsJson(credits: bigint, events: number): string {
  return `"credits":"${formatCredits(credits)}","events":${events}`;
}

/** RFC 4180, with a header. */
function toCsv({ columns, rows }: UsageReport): string {
  const header = csvLine([...columns, 'credits', 'events']);
  const lines = rows.map(({ keys, credits, events }) =>
    csvLine([...keys.map((value) => value ?? ''), formatCredits(credits), String(events)]),
  );
  return header + lines.join('');
}

/** The first page is read before the answer starts, so that an error of its query is still a problem with a status. */
async function withHeader(
  pages: AsyncGenerator<string, void, undefined>,
): Promise<AsyncGenerator<string, void, undefined>> {
  const first = await pages.next();
  return (async function* () {
    yield csvLine(exportedColumns);
    if (first.done) return;
    yield first.value;
    yield* pages;
  })();
}
