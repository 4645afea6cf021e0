import { useMemo } from 'react';
import { formatCredits, toDecimal } from '../format/credits.ts';
import { formatPercent } from '../format/percent.ts';
import { useLanguage } from '../i18n/language.tsx';
import { type LocalDay, utcMidnight } from './local-days.ts';

/** Days and amounts of the Usage page in the reader's language. */
export interface UsageTexts {
  /** 12 Nov */
  shortDay(day: LocalDay): string;
  /** Thu, 12 Nov 2026 */
  longDay(day: LocalDay): string;
  /** Thu, 12 Nov */
  tableDay(day: LocalDay): string;
  /** 14:05:09 in the zone of the view. */
  time(instant: string): string;
  /** 12 Nov 2026, 14:05 in the zone of the view. */
  instant(instant: string | number): string;
  /** Two digits after the point; tiny amounts exactly, so that no usage is shown as 0. */
  credits(micro: bigint): string;
  exact(micro: bigint): string;
  /** With all digits and a sign. */
  signed(micro: bigint): string;
  /** For an axis: 1.2K */
  compact(micro: bigint): string;
  count(value: number): string;
  /** A change in tenths of a percent, with its sign. */
  change(perMille: number): string;
  /** The time zone in words: Central European Time (Europe/Berlin) */
  zone: string;
}

export function useUsageTexts(zone: string): UsageTexts {
  const { locale } = useLanguage();
  return useMemo(() => {
    const shortDay = new Intl.DateTimeFormat(locale, { timeZone: 'UTC', day: 'numeric', month: 'short' });
    const longDay = new Intl.DateTimeFormat(locale, {
      timeZone: 'UTC',
      weekday: 'short',
      day: 'numeric',
      month: 'short',
      year: 'numeric',
    });
    const tableDay = new Intl.DateTimeFormat(locale, {
      timeZone: 'UTC',
      weekday: 'short',
      day: 'numeric',
      month: 'short',
    });
    const time = new Intl.DateTimeFormat(locale, { timeZone: zone, timeStyle: 'medium' });
    const instant = new Intl.DateTimeFormat(locale, {
      timeZone: zone,
      dateStyle: 'medium',
      timeStyle: 'short',
    });
    const compact = new Intl.NumberFormat(locale, {
      notation: 'compact',
      maximumFractionDigits: 6,
      maximumSignificantDigits: 3,
    });
    const count = new Intl.NumberFormat(locale);
    return {
      shortDay: (day) => shortDay.format(utcMidnight(day)),
      longDay: (day) => longDay.format(utcMidnight(day)),
      tableDay: (day) => tableDay.format(utcMidnight(day)),
      time: (at) => time.format(Date.parse(at)),
      instant: (at) => instant.format(typeof at === 'number' ? at : Date.parse(at)),
      credits: (micro) => formatCredits(toDecimal(micro), locale, { digits: 2 }),
      exact: (micro) => formatCredits(toDecimal(micro), locale),
      signed: (micro) => formatCredits(toDecimal(micro), locale, { signed: true }),
      compact: (micro) => compact.format(toDecimal(micro) as Intl.StringNumericLiteral),
      count: (value) => count.format(value),
      change: (perMille) => formatPercent(perMille / 10, locale, { digits: 1, signed: true }),
      zone: zoneInWords(zone, locale),
    };
  }, [locale, zone]);
}

function zoneInWords(zone: string, locale: string): string {
  if (zone === 'UTC') return zone; // in words it would be GMT+00:00
  const words = new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName: 'longGeneric' })
    .formatToParts()
    .find(({ type }) => type === 'timeZoneName')?.value;
  const region = zone.replaceAll('_', ' ');
  return words === undefined || words === region ? region : `${words} (${region})`;
}
