import { z } from 'zod';
import { creditsSchema } from './credits.ts';

/**
 * The catalog's document (the YAML file, and the JSON stored for each version) and the form that the code uses. In the
 * document credits are decimal strings and durations are like `"24h"`. In code credits are micro-credits and durations
 * are milliseconds. `z.decode` reads a document, and `z.encode` writes it back in canonical form.
 *
 * Stored versions are read while grants and usage refer to them, so a new field needs a default.
 */

const key = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, {
  error: 'expected a key: a lower-case letter, then at most 39 lower-case letters, digits or _',
});

const action = z.string().regex(/^[a-z][a-z0-9]*([._-][a-z0-9]+)*$/, {
  error: 'expected an action: lower-case letters and digits in parts joined by . _ or -',
});

// Polar accepts product names of 3 to 64 characters (`ProductCreate` in its OpenAPI document).
const name = z.string().trim().min(3).max(64);
const description = z.string().trim().min(1).max(500);
const archived = z.boolean().default(false);

// Whole days, hours, minutes or seconds, so that a YAML file needs no milliseconds.
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

/**
 * A price at Polar in US cents: from Polar's minimum in USD (`ProductPriceFixedCreate.price_amount`) to eight digits.
 */
const price = z.strictObject({ currency: z.literal('usd'), cents: z.int().min(50).max(99_999_999) });

const trial = z.strictObject({
  credits: creditsSchema,
  /** How long the trial's credits can be spent. */
  lifetime: duration,
  /** The maximum number of trials for the teams of one creator. */
  perOwner: z.int().min(1).max(100),
});

const plan = z
  .strictObject({
    key,
    name,
    description,
    interval: z.enum(['month', 'year']),
    price,
    /** The credits of one complete cycle, all drips together. */
    allotment: creditsSchema,
    /** `cycle`: all credits when the cycle is paid. `monthly`: a yearly plan's allotment in monthly drips. */
    rhythm: z.enum(['cycle', 'monthly']).default('cycle'),
    archived,
  })
  .refine((plan) => plan.rhythm === 'cycle' || plan.interval === 'year', {
    path: ['rhythm'],
    error: 'expected "cycle": only a yearly plan drips monthly',
  });

const pack = z.strictObject({ key, name, description, price, credits: creditsSchema, archived });

// A power of ten, so that the price of one unit is a finite decimal that a receipt shows exactly.
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
  /** The price of `per` units. */
  credits: creditsSchema.refine((credits) => credits <= 1_000_000_000_000n, {
    error: `expected at most ${MAX_PRICE} credits`,
  }),
  per: per.default(1n),
});

const actionPrice = z.strictObject({
  action,
  name,
  /** Usage reports group by it. */
  category: z.enum(['language', 'image', 'audio', 'storage', 'platform']),
  /** The AI model of the action, for reports. */
  model: z.string().min(1).max(64).optional(),
  /** In the order of a receipt's lines. */
  meters: z.array(meterPrice).min(1).check(unique('meter')),
  archived,
});

const policies = z.strictObject({
  /** A subscription's credits expire this long after the end of their period, so that a slow payment stops no work. */
  renewalGrace: duration,
  /** How long an allotment can be spent that arrives after its cycle's end because of a delay on our side. */
  lateAllotmentLife: duration,
  /** How our API changes a plan upwards and downwards, as values of Polar's API. */
  upgradeProration: z.enum(['invoice', 'prorate']),
  downgradeProration: z.enum(['next_period', 'prorate', 'invoice']),
  /** The lifetime of a hold if its caller sets none, and the maximum from its start with extensions. */
  holdLife: duration,
  holdMaxLife: duration,
  /**
   * How long a caller's key protects a retry. Usage that occurred earlier is refused. At most 120 days, because usage
   * has no partitions for earlier months (`monthsBack` in `database/partitions.ts`).
   */
  idempotencyKeysKept: duration.refine((kept) => kept <= 120 * UNITS.d, { error: 'expected at most "120d"' }),
  /** How many teams a user may own, without the Personal Team. A deleted team counts for another day. */
  teamsPerUser: z.int().min(1).max(10_000).default(50),
  /** How many limits of members and API keys a team may have. */
  limitsPerTeam: z.int().min(1).max(100_000).default(5_000),
  /** How many holds of a team may be open at once. */
  openHoldsPerTeam: z.int().min(1).max(100_000).default(2_000),
  /** How long an inbox row is kept after its event was handled. Rows with an operator's decision are kept permanently. */
  handledEventsKept: duration
    .refine((kept) => kept >= 90 * UNITS.d, { error: 'expected at least "90d"' })
    .default(400 * UNITS.d),
  /** How long a delivered message to other systems is kept. It can be replayed until then. */
  messagesKept: duration
    .refine((kept) => kept >= 7 * UNITS.d, { error: 'expected at least "7d"' })
    .default(90 * UNITS.d),
  /**
   * How many e-mails are sent within 24 hours about one team, and to one recipient (a user or an address). Others are
   * skipped. For a recipient, invitations and other e-mails are counted separately.
   */
  emailsPerTeamAndDay: z.int().min(1).max(10_000).default(100),
  emailsPerRecipientAndDay: z.int().min(1).max(1_000).default(20),
  /** If one run of the reconciliation moves more than this for one team, the repair waits for an operator. */
  reconciliationApproval: creditsSchema,
  /** The same, for all teams of one run together. */
  reconciliationApprovalTotal: creditsSchema.default(200_000_000_000n),
  /**
   * For an organisation at Polar that had sold before: orders created earlier than this are recorded and never
   * granted. Null: every order is ours.
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
    message: `expected a unique key; ${key} is used twice`,
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

export type Product = { kind: 'plan'; plan: Plan } | { kind: 'pack'; pack: Pack };

/**
 * The plan or pack with this key, archived or not. Archived products are still renewed and granted. A caller that
 * sells must check `archived`.
 */
export function findProduct(catalog: Catalog, key: string): Product | undefined {
  const plan = catalog.plans.find((candidate) => candidate.key === key);
  if (plan) return { kind: 'plan', plan };
  const pack = catalog.packs.find((candidate) => candidate.key === key);
  return pack && { kind: 'pack', pack };
}

/** Whether an order was created before `ordersSince`: it is recorded and never granted. */
export function isBeforeAdoption(
  orderedAt: Date,
  { ordersSince }: Pick<Catalog['policies'], 'ordersSince'>,
): boolean {
  return ordersSince !== null && orderedAt < ordersSince;
}
