const formats = new Map<string, Intl.NumberFormat>();

/** A number format of `Intl`. It is kept, because making one is slow. */
export function numberFormat(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known) return known;
  const format = new Intl.NumberFormat(locale, options);
  formats.set(key, format);
  return format;
}

/** A quantity or a unit price as the API writes it, with all its digits. `Intl` takes them as they are, never through a float. */
export function formatDecimal(decimal: string, locale: string): string {
  return numberFormat(locale, { maximumFractionDigits: 20 }).format(decimal as Intl.StringNumericLiteral);
}
