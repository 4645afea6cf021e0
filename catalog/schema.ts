import { z } from 'zod';
import { creditsSchema } from './credits.ts';

/**
 * The catalog's document (the YAML file, and the JSON that is stored for each version) and the form that code works
 * with: in the document credits are decimal strings and durations are `"24h"`; inside, credits are micro-credits and
 * durations milliseconds. `z.decode` reads, `z.encode` writes the document back in its canonical form.
 *
 * Stored versions are read for as long as grants and usage point at them: a field that is added later needs a default.
 */

const key = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, {
  error: 'expected a key: a small letter, then at most 39 small letters, digits or _',
});

const action = z.string().regex(/^[a-z][a-z0-9]*([._-][a-z0-9]+)*$/, {
  error: 'expected an action: small letters and digits in parts joined by . _ or -',
});

// Polar takes product names of 3 to 64 characters (`ProductCreate` in its OpenAPI document).
const name = z.string().trim().min(3).max(64);
const description = z.string().trim().min(1).max(500);
const archived = z.boolean().default(false);

// Whole days, hours, minutes or seconds, so that nobody has to count milliseconds in a YAML file.
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };
const DURATION = { error: 'expected a duration such as "30m", "24h" or "90d"' };
const duration = z.codec(z.string(DURATION).regex(/^[1-9]\d{0,3}[smhd]$/, DURATION), z.int().positive(), {
  decode: toMilliseconds,
  encode: fromMilliseconds,
});

const instant = z.codec(
  z.iso.datetime({ error: 'expected a UTC time such as 2026-01-31T00:00:00Z' }),
  z.date(),
  {
    decode: (text) => new Date(text),
    encode: (date) => date.toISOString(),
  },
);

/** Money for Polar: US cents, from the least that it charges in USD (`ProductPriceFixedCreate.price_amount`) to eight digits. */
const price = z.strictObject({ currency: z.literal('usd'), cents: z.int().min(50).max(99_999_999) });

const trial = z.strictObject({
  credits: creditsSchema,
  /** How long the trial's credits live. */
  lifetime: duration,
  /** How many of an owner's teams get one. */
  perOwner: z.int().min(1).max(100),
});

const plan = z
  .strictObject({
    key,
    name,
    description,
    interval: z.enum(['month', 'year']),
    price,
    /** Credits of one whole cycle, all drips together. */
    allotment: creditsSchema,
    /** `cycle`: all of it when the cycle is paid. `monthly`: a yearly plan's allotment in monthly drips. */
    rhythm: z.enum(['cycle', 'monthly']).default('cycle'),
    archived,
  })
  .refine((plan) => plan.rhythm === 'cycle' || plan.interval === 'year', {
    path: ['rhythm'],
    error: 'expected "cycle": only a yearly plan drips monthly',
  });

const pack = z.strictObject({ key, name, description, price, credits: creditsSchema, archived });

// A power of ten, so that the price of one unit is a finite decimal; receipts show it exactly.
const per = z.codec(
  z.int().refine((per) => /^10{0,9}$/.test(String(per)), {
    error: 'expected a power of ten from 1 to 1000000000',
  }),
  z.bigint(),
  { decode: (per) => BigInt(per), encode: (per) => Number(per) },
);

const MAX_PRICE = '1000000';
const meterPrice = z.strictObject({
  meter: key,
  /** What `per` units cost. */
  credits: creditsSchema.refine((credits) => credits <= 1_000_000_000_000n, {
    error: `expected at most ${MAX_PRICE} credits`,
  }),
  per: per.default(1n),
});

const actionPrice = z.strictObject({
  action,
  name,
  /** What usage reports group by. */
  category: z.enum(['language', 'image', 'audio', 'storage', 'platform']),
  /** The AI model behind the action, for reports. */
  model: z.string().min(1).max(64).optional(),
  /** In the order of a receipt's lines. */
  meters: z.array(meterPrice).min(1).check(unique('meter')),
  archived,
});

const policies = z.strictObject({
  /** A subscription's grant outlives its period by this, so that a payment that takes a minute stops nobody. */
  renewalGrace: duration,
  /** How long an allotment lives that arrives after its cycle's end through a delay of ours. */
  lateAllotmentLife: duration,
  /** How our API changes a plan upwards and downwards, in Polar's words. */
  upgradeProration: z.enum(['invoice', 'prorate']),
  downgradeProration: z.enum(['next_period', 'prorate', 'invoice']),
  /** A hold's life where its caller names none, and the most that it can be extended to, from its start. */
  holdLife: duration,
  holdMaxLife: duration,
  /**
   * How long a caller's key protects a retry; usage that occurred earlier than that is refused. At most 120 days: usage
   * has no table for longer ago (`monthsBack` in `database/partitions.ts`).
   */
  idempotencyKeysKept: duration.refine((kept) => kept <= 120 * UNITS.d, { error: 'expected at most "120d"' }),
  /** What one run of the reconciliation repairs beyond this, for one team, waits for an operator. */
  reconciliationApproval: creditsSchema,
  /** The same, for all teams of one run together. */
  reconciliationApprovalTotal: creditsSchema.default(200_000_000_000n),
  /**
   * When this product was connected to an organisation at Polar that had sold before: orders created earlier are recorded
   * and never granted. Null: every order is ours.
   */
  ordersSince: instant.nullable().default(null),
});

export const catalogSchema = z
  .strictObject({
    trial,
    plans: z.array(plan).min(1),
    packs: z.array(pack).min(1),
    prices: z.array(actionPrice).min(1).check(unique('action')),
    policies: policies.refine((policies) => policies.holdLife <= policies.holdMaxLife, {
      path: ['holdLife'],
      error: 'expected at most holdMaxLife',
    }),
  })
  .check((context) => {
    // A product is bought by its key alone, so plans and packs share one set of keys.
    const seen = new Set<string>();
    for (const kind of ['plans', 'packs'] as const) {
      for (const [index, { key }] of context.value[kind].entries()) {
        if (seen.has(key)) context.issues.push(taken(key, [kind, index, 'key']));
        seen.add(key);
      }
    }
  });

export type Catalog = z.output<typeof catalogSchema>;
/** The document, as JSON. */
export type CatalogDocument = z.input<typeof catalogSchema>;
export type Trial = Catalog['trial'];
export type Plan = Catalog['plans'][number];
export type Pack = Catalog['packs'][number];
export type ActionPrice = Catalog['prices'][number];

function toMilliseconds(text: string): number {
  const unit = z.enum(['d', 'h', 'm', 's']).parse(text.at(-1));
  return Number(text.slice(0, -1)) * UNITS[unit];
}

function fromMilliseconds(milliseconds: number): string {
  for (const [unit, size] of Object.entries(UNITS)) {
    if (milliseconds % size === 0 && milliseconds / size <= 9_999) return `${milliseconds / size}${unit}`;
  }
  throw new RangeError(`Not a whole number of seconds, minutes, hours or days: ${milliseconds} ms`);
}

function taken(key: string, path: (string | number)[]) {
  return {
    code: 'custom' as const,
    input: key,
    path,
    message: `expected a key that is not taken; ${key} is`,
  };
}

function unique<Field extends string>(field: Field) {
  return (context: z.core.ParsePayload<Record<Field, string>[]>) => {
    const seen = new Set<string>();
    for (const [index, item] of context.value.entries()) {
      if (seen.has(item[field])) context.issues.push(taken(item[field], [index, field]));
      seen.add(item[field]);
    }
  };
}
