import { numberFormat } from './number-format.ts';

export interface PercentFormat {
  /** Digits after the point. Default: 0. */
  digits?: number;
  /** Writes a plus before percentages over zero. */
  signed?: boolean;
}

/** A percentage for readers: 28.4% in English, 28,4 % in German. */
export function formatPercent(
  percent: number,
  locale: string,
  { digits = 0, signed = false }: PercentFormat = {},
): string {
  return numberFormat(locale, {
    style: 'percent',
    maximumFractionDigits: digits,
    signDisplay: signed ? 'exceptZero' : 'negative',
  }).format(percent / 100);
}

/** The share of an amount in whole percent. An amount above zero is never shown as 0%. Empty if there is no total. */
export function formatShare(amount: bigint, total: bigint, locale: string): string {
  if (total <= 0n) return '';
  const percent = (amount * 100n + total / 2n) / total;
  return percent === 0n && amount > 0n
    ? `<${formatPercent(1, locale)}`
    : formatPercent(Number(percent), locale);
}
