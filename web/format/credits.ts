import { numberFormat } from './number-format.ts';

/** One credit in micro-credits, the smallest amount that the API knows. */
const microPerCredit = 1_000_000n;

/**
 * Credits as the API writes them ("12.5") in micro-credits.
 * @throws RangeError for anything else
 */
export function toMicroCredits(decimal: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(decimal);
  if (!match)
    throw new RangeError(`Credits must be a decimal with at most 6 digits after the point: ${decimal}`);
  const [, sign, whole = '', fraction = ''] = match;
  const micro = BigInt(whole) * microPerCredit + BigInt(fraction.padEnd(6, '0'));
  return sign ? -micro : micro;
}

/** Micro-credits as the API writes credits: no trailing zeros, no exponent. */
export function toDecimal(micro: bigint): string {
  const size = micro < 0n ? -micro : micro;
  const fraction = (size % microPerCredit).toString().padStart(6, '0').replace(/0+$/, '');
  return `${micro < 0n ? '-' : ''}${size / microPerCredit}${fraction && `.${fraction}`}`;
}

export interface CreditFormat {
  /** Cuts the digits after this many, towards zero. An amount that would become 0 keeps all of them. Default: 6, which is exact. */
  digits?: number;
  /** Writes a plus before amounts over zero. */
  signed?: boolean;
}

/** Credits for readers, from the API's decimal string. `Intl` takes the digits as they are, never through a float. */
export function formatCredits(
  decimal: string,
  locale: string,
  { digits = 6, signed = false }: CreditFormat = {},
): string {
  const micro = toMicroCredits(decimal);
  const isTiny = micro / 10n ** BigInt(6 - digits) === 0n;
  return numberFormat(locale, {
    maximumFractionDigits: isTiny ? 6 : digits,
    roundingMode: 'trunc',
    signDisplay: signed ? 'exceptZero' : 'negative',
  }).format(toDecimal(micro) as Intl.StringNumericLiteral);
}

/** The sum of credits, exact. */
export function sumCredits(decimals: Iterable<string>): string {
  let sum = 0n;
  for (const decimal of decimals) sum += toMicroCredits(decimal);
  return toDecimal(sum);
}

/** True if there is nothing. */
export function isZero(decimal: string): boolean {
  return toMicroCredits(decimal) === 0n;
}
