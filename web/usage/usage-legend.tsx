import { useState } from 'react';
import { Button } from 'react-aria-components';
import { formatShare } from '../format/percent.ts';
import { useLanguage } from '../i18n/language.tsx';
import type { KeyNames } from './key-names.ts';
import { Swatch } from './series-fill.tsx';
import type { StackedUsage, UsageSeries } from './stack-usage.ts';
import type { UsageTexts } from './usage-texts.ts';
import type { GroupKey } from './view-state.ts';

/** More keys than these are not listed; a narrower view or the CSV file has them. */
const mostListed = 200;

/**
 * The keys, largest first, with the credits of the range or of the day under the pointer. Pressing a key shows only its
 * usage; pressing it again shows all.
 */
export function UsageLegend({
  usage,
  groupBy,
  names,
  texts,
  chosen,
  place,
  isWide,
  choose,
}: {
  /** All keys, without the legend's own filter. */
  usage: StackedUsage;
  groupBy: GroupKey;
  names: KeyNames;
  texts: UsageTexts;
  /** The only key that is shown; undefined: all. */
  chosen: string | null | undefined;
  /** The day whose figures are shown; null: the whole range. */
  place: number | null;
  /** It has the whole width of the page: in columns. */
  isWide: boolean;
  choose(key: string | null): void;
}) {
  const { t, locale } = useLanguage();
  const [showsAll, setShowsAll] = useState(false);
  const amountOf = ({ byDay, credits }: UsageSeries) => (place === null ? credits : (byDay[place] ?? 0n));
  const total = place === null ? usage.credits : (usage.byDay[place] ?? 0n);
  const day = place === null ? undefined : usage.days[place];
  const other = usage.series.find(({ isOther }) => isOther);
  const listed = showsAll ? usage.keys.slice(0, mostListed) : usage.series.filter(({ isOther }) => !isOther);
  const restCount = usage.keys.length - (usage.series.length - 1);
  const barred = new Set(usage.series.filter(({ isOther }) => !isOther).map(({ key }) => key));
  return (
    <div>
      <p className="mb-1 flex items-baseline justify-between gap-3 border-b border-line pb-2 text-sm">
        <span className="text-muted">{day === undefined ? t('usage.wholeRange') : texts.longDay(day)}</span>
        <span className="font-semibold">{texts.credits(total)}</span>
      </p>
      <ul
        className={`grid gap-x-8 ${isWide ? 'sm:grid-cols-2 lg:grid-cols-3' : ''} ${showsAll ? 'max-h-96 overflow-y-auto' : ''}`}
      >
        {listed.map((series) => {
          const name = names.seriesName(groupBy, series);
          const amount = amountOf(series);
          return (
            <li key={series.key ?? ''}>
              <Button
                aria-pressed={chosen === series.key}
                onPress={() => choose(series.key)}
                className={`flex min-h-8 w-full items-center gap-2.5 rounded-md px-1.5 py-1 text-start text-sm hover:bg-sunken aria-pressed:bg-accent-soft aria-pressed:font-medium ${chosen !== undefined && chosen !== series.key ? 'text-muted' : ''}`}
              >
                <Swatch series={barred.has(series.key) ? series : { key: null, isOther: true }} />
                <span className="min-w-0 flex-1 truncate" title={name}>
                  {name}
                </span>
                <span>{texts.credits(amount)}</span>
                <span className="w-11 text-end text-xs text-muted">{formatShare(amount, total, locale)}</span>
              </Button>
            </li>
          );
        })}
        {other && !showsAll && (
          <li>
            <Button
              aria-expanded={false}
              onPress={() => setShowsAll(true)}
              className="flex min-h-8 w-full items-center gap-2.5 rounded-md px-1.5 py-1 text-start text-sm hover:bg-sunken"
            >
              <Swatch series={other} />
              <span className="min-w-0 flex-1 truncate">{t('usage.otherCount', { count: restCount })}</span>
              <span>{texts.credits(amountOf(other))}</span>
              <span className="w-11 text-end text-xs text-muted">
                {formatShare(amountOf(other), total, locale)}
              </span>
            </Button>
          </li>
        )}
      </ul>
      {showsAll && (
        <Button className="mt-2 px-1.5 text-sm text-accent" onPress={() => setShowsAll(false)}>
          {t('usage.topOnly')}
        </Button>
      )}
    </div>
  );
}
