import { z } from 'zod';

/** Micro-credits in one credit, and micro-units in one unit of any quantity. */
export const MICRO = 1_000_000n;

/**
 * Every amount and quantity in a request is below this: 10^12 units, in micro-units. It is the range of 12 digits
 * before the point. The sum of nine such amounts fits Postgres' `bigint`.
 */
export const DECIMAL_LIMIT = 10n ** 12n * MICRO;

/**
 * Micro-units from a safe integer, or from a decimal string with 1 to 12 digits before the point and 1 to 6 after it.
 * No sign, exponent, space or group separator, and no fractional `number`, because it may already be rounded.
 * @throws RangeError for any other value. Parse input with the schemas below: their messages are for callers.
 */
export function parseDecimal(value: string | number): bigint {
  return parse(value, DECIMAL);
}

/** As {@link parseDecimal}, with an optional leading `+` or `-`. */
export function parseSignedDecimal(value: string | number): bigint {
  return parse(value, SIGNED_DECIMAL);
}

/** The only format for amounts: `"12.5"`, `"-3"`, `"0.000001"`, `"0"`; no trailing zeros, any size. */
export function formatCredits(micro: bigint): string {
  return formatDecimal(micro, 6);
}

/** `digits · 10^-decimals`, exactly, without trailing zeros. */
export function formatDecimal(digits: bigint, decimals: number): string {
  const padded = (digits < 0n ? -digits : digits).toString().padStart(decimals + 1, '0');
  const point = padded.length - decimals;
  let end = padded.length;
  while (end > point && padded[end - 1] === '0') end -= 1;
  const fraction = end === point ? '' : `.${padded.slice(point, end)}`;
  return `${digits < 0n ? '-' : ''}${padded.slice(0, point)}${fraction}`;
}

const DECIMAL = /^\d{1,12}(\.\d{1,6})?$/;
const SIGNED_DECIMAL = /^[+-]?\d{1,12}(\.\d{1,6})?$/;
// The pattern itself refuses zero, so that the JSON Schema contains every rule that is checked.
const POSITIVE_DECIMAL = /^(?=.*[1-9])\d{1,12}(\.\d{1,6})?$/;
const NON_ZERO_DECIMAL = /^(?=.*[1-9])[+-]?\d{1,12}(\.\d{1,6})?$/;
const CANONICAL_DECIMAL = /^(?!-0$)-?(0|[1-9]\d*)(\.\d*[1-9])?$/;

const FORM = 'a safe integer or a decimal string of at most 12 digits before and 6 after the point';
const LARGEST_INTEGER = Number(DECIMAL_LIMIT / MICRO) - 1;

/**
 * A quantity of a meter, 0 or more. Input: string or integer. Output: micro-units. Any safe integer is accepted here;
 * pricing refuses a quantity that is too large with its own code.
 */
export const quantitySchema = decimalCodec(
  DECIMAL,
  (error) => z.int({ error }).nonnegative({ error }),
  `expected a quantity, 0 or more: ${FORM}`,
  ['1200', '0.5'],
);

/** The quantities of one usage, by meter; at least one. */
export const quantitiesSchema = z
  .record(z.string().min(1).max(64), quantitySchema)
  .refine((quantities) => Object.keys(quantities).length > 0, { error: 'expected at least one meter' })
  .meta({ minProperties: 1 });

/** An amount of credits above zero. Input: string or integer. Output: micro-credits below {@link DECIMAL_LIMIT}. */
export const creditsSchema = decimalCodec(
  POSITIVE_DECIMAL,
  (error) => z.int({ error }).positive({ error }).max(LARGEST_INTEGER, { error }),
  `expected credits above zero: ${FORM}`,
  ['12.5', '100'],
);

/** As {@link creditsSchema}, or zero: for holds, captures and limits. */
export const creditsOrZeroSchema = decimalCodec(
  DECIMAL,
  (error) => z.int({ error }).nonnegative({ error }).max(LARGEST_INTEGER, { error }),
  `expected credits, 0 or more: ${FORM}`,
  ['12.5', '0'],
);

/** An amount of credits to give (`"5"`, `"+5"`) or to take (`"-5"`), never zero. Output: micro-credits. */
export const signedCreditsSchema = decimalCodec(
  NON_ZERO_DECIMAL,
  (error) =>
    z
      .int({ error })
      .min(-LARGEST_INTEGER, { error })
      .max(LARGEST_INTEGER, { error })
      .refine((credits) => credits !== 0, { error }),
  `expected credits other than zero: ${FORM}, with an optional sign`,
  ['+100', '-12.5'],
);

/** A decimal in a response, as {@link formatCredits} writes it. */
export const decimalOut = z
  .string()
  .regex(CANONICAL_DECIMAL)
  .meta({ description: 'An exact decimal number', examples: ['12.5'] });

function parse(value: string | number, pattern: RegExp): bigint {
  // The digits of a safe integer are not counted: it is exact, and the caller of this schema checks its range.
  if (
    typeof value === 'number' &&
    Number.isSafeInteger(value) &&
    (value >= 0 || pattern === SIGNED_DECIMAL)
  ) {
    return BigInt(value) * MICRO;
  }
  if (typeof value !== 'string' || !pattern.test(value)) {
    throw new RangeError(`Not ${FORM}: ${JSON.stringify(String(value).slice(0, 40))}`);
  }
  const [whole = '', fraction = ''] = value.replace(/^[+-]/, '').split('.');
  const micro = BigInt(whole) * MICRO + BigInt(fraction.padEnd(6, '0'));
  return value.startsWith('-') ? -micro : micro;
}

/** A codec instead of a transform: the same schema reads a document, writes it back and describes its input. */
function decimalCodec(
  pattern: RegExp,
  integer: (error: string) => z.ZodType<number, number>,
  expected: string,
  examples: string[],
) {
  const input = z
    .union([z.string().regex(pattern, { error: expected }), integer(expected)], { error: expected })
    .meta({ description: expected.replace('expected ', ''), examples });
  return z.codec(input, z.bigint(), { decode: parseSignedDecimal, encode: formatCredits });
}
