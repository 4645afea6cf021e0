import { z } from 'zod';
import { decimalOut, formatCredits } from '../catalog/credits.ts';
import { roles } from '../database/entities/member.ts';
import type { Receipt } from '../ledger/spend/operation.ts';

/** Schemas that several routes share. Input is strict; output is plain JSON. */

const longestMetadataCharacters = 4_096;

/** Text or null in an answer, with an example for the documentation. */
export function nullableText(example: string, description?: string) {
  return z
    .string()
    .nullable()
    .meta({ ...(description === undefined ? {} : { description }), examples: [example] });
}

/** Any UUID in any case. A UUID of no team is an unknown team, not a malformed id. */
export const teamIdSchema = z
  .guid({ error: 'expected a team id: a UUID' })
  .toLowerCase()
  .meta({ description: 'The team’s id', examples: ['0198c5a0-7d3e-7c3a-9f5e-2f4c8a1b6d70'] });

export const userIdSchema = z
  .string({ error: 'expected a user id: 1 to 64 letters, digits, _ or -' })
  .regex(/^[A-Za-z0-9_-]{1,64}$/, { error: 'expected a user id: 1 to 64 letters, digits, _ or -' })
  .meta({ description: 'The platform’s id of the user', examples: ['user_42'] });

export const emailSchema = z
  .email()
  .max(254)
  .meta({ examples: ['ada@example.com'] });

export const actionSchema = z
  .string()
  .min(1)
  .max(100)
  .meta({ examples: ['model.gpt-5'] });

export const apiKeyIdSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, { error: 'expected 1 to 128 visible ASCII characters' })
  .meta({ description: 'The platform’s id of an API key', examples: ['key_7f3a'] });

export const metadataSchema = z
  .record(z.string(), z.unknown())
  .refine((metadata) => JSON.stringify(metadata).length <= longestMetadataCharacters, {
    error: `expected at most ${longestMetadataCharacters} characters of JSON`,
  })
  .meta({ description: 'Stored with the event, such as a trace id', examples: [{ traceId: '4bf92f35' }] });

const runIdForm = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/,
  error: 'expected 1 to 128 letters, digits, _ . : or -, beginning with a letter or digit',
};

export const runIdSchema = z
  .string()
  .regex(runIdForm.pattern, { error: runIdForm.error })
  .meta({ description: 'The platform’s id of a workflow run', examples: ['run_8f2c'] });

const stepIdSchema = z
  .string()
  .regex(runIdForm.pattern, { error: runIdForm.error })
  .meta({ description: 'The step of the run', examples: ['summarise'] });

const mostTags = 5;
/** The name of a tag. It has no comma and no colon, which separate names in query parameters. */
export const tagNamePattern = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;

const tagNameSchema = z.string().regex(tagNamePattern, {
  error: 'expected a tag name of 1 to 32 letters, digits, _ or -, beginning with a letter',
});
const tagValueSchema = z
  .string()
  .regex(/^[\x20-\x7e]{1,100}$/, { error: 'expected 1 to 100 printable ASCII characters' });

const tagsSchema = z
  .record(tagNameSchema, tagValueSchema)
  .refine((tags) => Object.keys(tags).length <= mostTags, { error: `expected at most ${mostTags} tags` })
  .meta({
    description: `Names and values to group reports by: at most ${mostTags}`,
    examples: [{ project: 'website' }],
  });

/** Who consumes and what for, in the bodies of usage and holds. */
export const attributionShape = {
  memberId: userIdSchema.exactOptional(),
  apiKeyId: apiKeyIdSchema.exactOptional(),
  runId: runIdSchema.exactOptional(),
  stepId: stepIdSchema.exactOptional(),
  tags: tagsSchema.exactOptional(),
};

/** Who consumed and what for, in answers. */
export const attributionOut = {
  memberId: nullableText('user_42'),
  apiKeyId: nullableText('key_7f3a'),
  runId: nullableText('run_8f2c'),
  stepId: nullableText('summarise'),
  tags: z.record(z.string(), z.string()).meta({ examples: [{ project: 'website' }] }),
};

export const roleSchema = z.enum(roles).meta({ id: 'Role' });

export const nameSchema = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .meta({ examples: ['Ada Lovelace'] });

const earliestInstant = new Date('2000-01-01T00:00:00Z');
const latestInstant = new Date('2200-12-31T23:59:59.999Z');
const instantRange = { error: 'expected a time between the years 2000 and 2200, in UTC' };

/** An instant between the years 2000 and 2200 in UTC. Input: ISO 8601 with a zone. Output: Date. */
export const instantIn = z
  .codec(
    z.iso.datetime({
      offset: true,
      error: 'expected a time in ISO 8601 with a zone, such as 2026-01-31T12:00:00Z',
    }),
    z.date(instantRange).min(earliestInstant, instantRange).max(latestInstant, instantRange),
    { decode: (text) => new Date(text), encode: (date) => date.toISOString() },
  )
  .meta({ override: { examples: ['2026-01-31T12:00:00Z'] } });

/** An instant in an answer: ISO 8601 in UTC. */
export const instantOut = z.iso.datetime().meta({ examples: ['2026-01-31T12:00:00.000Z'] });

/**
 * A time zone that Postgres uses for days: `UTC`, or a region of the IANA database, which Node and Postgres read from
 * the same data. No abbreviations: Postgres has its own list, in which `IST` is Israel and not India. No offsets:
 * Postgres reads them with the opposite sign
 * (https://www.postgresql.org/docs/18/datatype-datetime.html#DATATYPE-TIMEZONES).
 */
export const timezoneIn = z
  .string()
  .max(64)
  .refine(isTimezone, {
    error:
      'expected UTC or a region of the IANA time zone database, such as Europe/Berlin; abbreviations are not accepted',
  })
  .meta({
    description: 'The time zone of the days: UTC or a region of the IANA database',
    examples: ['Europe/Berlin'],
  });

function isTimezone(name: string): boolean {
  if (name === 'UTC') return true;
  if (!/^[A-Za-z][\w-]*(\/[\w+-]+)+$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export const teamParams = z.object({ teamId: teamIdSchema });

/** `limit` and `cursor` of every list. */
export const listQuery = z.object({
  limit: z
    .codec(z.string().regex(/^\d{1,3}$/, { error: 'expected 1 to 100' }), z.int().min(1).max(100), {
      decode: Number,
      encode: String,
    })
    .default(50)
    .meta({
      description: 'Maximum number of entries on the page, 1 to 100',
      override: ({ jsonSchema }) => {
        delete jsonSchema.pattern;
        Object.assign(jsonSchema, { type: 'integer', minimum: 1, maximum: 100, default: 50 });
      },
    }),
  cursor: z
    .string()
    .min(1)
    .max(500)
    .exactOptional()
    .meta({ description: 'The nextCursor of the previous page' }),
});

export const grantSourceOut = z
  .enum(['trial', 'subscription', 'adjustment', 'purchase'])
  .meta({ id: 'GrantSource' });

/** A page of a list, as the schema `{id}`. */
export function pageOf<Item extends z.ZodType>(id: string, item: Item) {
  return z
    .strictObject({
      data: z.array(item),
      nextCursor: nullableText('01929d7e-8c1f-7a54-b2f6-3a1c9d0e4b52', 'Null on the last page'),
    })
    .meta({ id });
}

export const linkOut = z
  .strictObject({
    url: z.url().meta({ examples: ['https://polar.sh/waveloom/portal'] }),
    expiresAt: instantOut,
  })
  .meta({ id: 'Link' });

/** Credits that arrive or expire at a time. */
export const creditsAtOut = z.strictObject({ at: instantOut, credits: decimalOut }).meta({ id: 'CreditsAt' });

/** The spendable credits after a change. */
export const availableOut = z.strictObject({ available: decimalOut }).meta({ id: 'AvailableCredits' });

/** The part of a grant that a debit or an adjustment moved. */
export const grantShareOut = z
  .strictObject({ grantId: z.guid(), source: grantSourceOut, credits: decimalOut })
  .meta({ id: 'GrantShare' });

const receiptLineOut = z
  .strictObject({
    meter: z.string().meta({ examples: ['input_tokens'] }),
    quantity: decimalOut,
    unitPrice: decimalOut.meta({ description: 'The exact price of one unit in credits' }),
    credits: decimalOut,
  })
  .meta({ id: 'ReceiptLine' });

/** The answer to a debit: its price, and the grants that paid. */
export const receiptShape = {
  id: z.guid(),
  action: z.string().meta({ examples: ['model.gpt-5'] }),
  credits: decimalOut,
  lines: z.array(receiptLineOut),
  grants: z.array(grantShareOut).meta({ description: 'The grants that paid, in burn order' }),
  priceVersion: z.int(),
  holdId: z.guid().nullable().meta({ description: 'The captured hold; null: it was a usage' }),
  balance: availableOut,
};
export const receiptOut = z.strictObject(receiptShape).meta({ id: 'Receipt' });

/** A receipt of the ledger as JSON. */
export function receiptJson({ credits, grants, balance, ...receipt }: Receipt): z.output<typeof receiptOut> {
  return {
    ...receipt,
    credits: formatCredits(credits),
    grants: grants.map((grant) => ({ ...grant, credits: formatCredits(grant.credits) })),
    balance: { available: formatCredits(balance.available) },
  };
}
