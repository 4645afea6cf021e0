import { isZero, toDecimal, toMicroCredits } from '../format/credits.ts';
import { numberFormat } from '../format/number-format.ts';

/** At most this many alerts of a low balance. */
export const mostThresholds = 5;

/**
 * A threshold as a reader writes it ("500", "1.234,5", "20 %") in the API's form.
 * @returns undefined if it is neither credits above zero nor a percentage of 1 to 99
 */
export function parseThreshold(text: string, locale: string): string | undefined {
  const compact = text.replace(/\s/g, '');
  if (/^[1-9]\d?%$/.test(compact)) return compact;
  const credits = parseCredits(compact, locale);
  return credits !== undefined && !isZero(credits) ? credits : undefined;
}

/**
 * Credits as a reader writes them, with the separators of their locale, in the API's form. A separator of groups must stand
 * where the locale can have one: "1,5" is not 15 credits in English, nor is "1.5" in German.
 * @returns undefined if it is not an amount with at most 12 digits before and 6 after the point
 */
export function parseCredits(text: string, locale: string): string | undefined {
  const parts = numberFormat(locale, {}).formatToParts(1234567.5);
  const separator = (type: 'group' | 'decimal') => parts.find((part) => part.type === type)?.value.trim();
  const [whole = '', ...fraction] = text.replace(/\s/g, '').split(separator('decimal') || '.');
  const [first = '', ...groups] = whole.split(separator('group') || /\s/);
  const last = groups.length - 1;
  // India writes 12,34,567.
  const isGrouped = groups.every(({ length }, index) => length === 3 || (length === 2 && index < last));
  if (groups.length > 0 && !(first && isGrouped)) return undefined;
  const plain = [first + groups.join(''), ...fraction].join('.');
  return /^\d{1,12}(\.\d{1,6})?$/.test(plain) ? toDecimal(toMicroCredits(plain)) : undefined;
}
