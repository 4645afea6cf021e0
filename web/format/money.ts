/**
 * Money for readers, from its smallest unit (cents) and its ISO 4217 currency. `Intl` knows how many digits the currency has.
 * The amount is passed as digits, never as a float.
 */
export function formatMoney(minorUnits: number, currency: string, locale: string): string {
  if (!Number.isSafeInteger(minorUnits))
    throw new RangeError('Money must be a whole number of its smallest unit');
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency: currency.toUpperCase() });
  const { maximumFractionDigits: digits } = format.resolvedOptions();
  if (digits === undefined) throw new RangeError(`Intl must know the digits of ${currency}`);
  const text = Math.abs(minorUnits)
    .toString()
    .padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  const decimal = `${minorUnits < 0 ? '-' : ''}${whole}${digits > 0 ? `.${text.slice(-digits)}` : ''}`;
  return format.format(decimal as Intl.StringNumericLiteral);
}
