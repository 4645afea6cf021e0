import { memo, useMemo } from 'react';
import { useLanguage } from '../i18n/language.tsx';
import { barShapes } from './bar-shapes.ts';
import { DaySlider, type DayWalk, useChartWidth } from './day-slider.tsx';
import type { KeyNames } from './key-names.ts';
import { useSeriesFill } from './series-fill.tsx';
import type { StackedUsage } from './stack-usage.ts';
import type { UsageTexts } from './usage-texts.ts';
import type { GroupKey } from './view-state.ts';

const heightPx = 240;
/** More days than these need the whole width of the page. */
export const manyDays = 100;

/** Stacked bars by day. Opening a day lists its calls. */
export function UsageChart({
  usage,
  groupBy,
  texts,
  names,
  today,
  opened,
  walk,
}: {
  usage: StackedUsage;
  groupBy: GroupKey;
  texts: UsageTexts;
  names: KeyNames;
  /** The place of today, whose usage is incomplete; -1: not in the range. */
  today: number;
  /** The place of the day whose calls are listed; -1: none. */
  opened: number;
  walk: DayWalk;
}) {
  const { t } = useLanguage();
  const chart = useChartWidth(usage.days.length);
  const { width } = chart;
  const shapes = useMemo(
    () => barShapes(usage.series, usage.byDay, { width, height: heightPx }),
    [usage, width],
  );
  const shown = walk.active ?? (opened >= 0 ? opened : null);
  const describe = (place: number) => {
    const day = usage.days[place];
    if (day === undefined) return '';
    const largest = usage.series
      .filter(({ byDay }) => (byDay[place] ?? 0n) > 0n)
      .sort((a, b) => ((b.byDay[place] ?? 0n) > (a.byDay[place] ?? 0n) ? 1 : -1))
      .slice(0, 3)
      .map((series) => `${names.seriesName(groupBy, series)} ${texts.credits(series.byDay[place] ?? 0n)}`);
    const text = t('usage.dayCredits', {
      day: texts.longDay(day),
      credits: texts.credits(usage.byDay[place] ?? 0n),
    });
    return [place === today ? `${text} (${t('usage.soFar')})` : text, ...largest].join('; ');
  };
  return (
    <DaySlider
      label={t('usage.chart')}
      walk={walk}
      days={usage.days}
      shown={shown}
      chart={chart}
      height={heightPx}
      ticks={shapes.ticks}
      texts={texts}
      describe={describe}
    >
      <Bars usage={usage} paths={shapes.paths} separated={shapes.dayWidth > 8} />
      {today >= 0 && (
        <rect
          x={today * shapes.dayWidth}
          width={Math.max(shapes.dayWidth, 3)}
          height={heightPx}
          className="fill-surface opacity-45"
        />
      )}
    </DaySlider>
  );
}

/** The bars do not change while the pointer moves. */
const Bars = memo(function Bars({
  usage,
  paths,
  separated,
}: {
  usage: StackedUsage;
  paths: readonly string[];
  separated: boolean;
}) {
  const fillOf = useSeriesFill();
  return usage.series.map((series, index) => (
    <path
      key={`${series.isOther} ${series.key}`}
      d={paths[index]}
      style={fillOf(series)}
      className="stroke-surface"
      strokeWidth={separated ? 1 : 0}
    />
  ));
});
