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
  return credits !== undefined && /[1-9]/.test(credits) ? credits : undefined;
}

/**
 * Credits as a reader writes them, with the separators of their locale, in the API's form.
 * @returns undefined if it is not an amount with at most 12 digits before and 6 after the point
 */
export function parseCredits(text: string, locale: string): string | undefined {
  const parts = new Intl.NumberFormat(locale).formatToParts(1234567.5);
  const separator = (type: 'group' | 'decimal') => parts.find((part) => part.type === type)?.value ?? '';
  const plain = text
    .replace(/\s/g, '')
    .replaceAll(separator('group').trim() || '\u00a0', '')
    .replace(separator('decimal'), '.');
  if (!/^\d{1,12}(\.\d{1,6})?$/.test(plain)) return undefined;
  return plain.replace(/^0+(?=\d)/, '');
}
