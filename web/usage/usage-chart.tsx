import {
  type KeyboardEvent,
  memo,
  type PointerEvent,
  type ReactNode,
  type RefCallback,
  useEffect,
  useMemo,
  useRef,
} from 'react';
import { useLanguage } from '../i18n/language.tsx';
import { barShapes, dayAt, labelledDays } from './bar-shapes.ts';
import { useUsageTexts } from './day-texts.ts';
import type { KeyNames } from './key-names.ts';
import { useSeriesFill } from './series-fill.tsx';
import type { StackedUsage } from './stack-usage.ts';
import { useWidth } from './use-width.ts';
import type { GroupKey } from './view-state.ts';

export interface DayWalk {
  /** The day under the pointer or the focus, as a place in the range; null: none. */
  active: number | null;
  setActive(place: number | null): void;
  /** Chooses the day whose calls are listed. */
  open(place: number): void;
  /** The number of days that have begun. */
  begun: number;
}

const height = 240;
const axisWidth = 52;
/** Above the chart: room for the highest label of the axis and for marks. */
export const chartTop = 16;
const labelHeight = 22;
const labelWidth = 76;
/** In pixels. A year on a phone is scrolled. */
export const narrowestDay = 2;
/** More days than these need the whole width of the page. */
export const manyDays = 100;

/** Stacked bars by day. The arrow keys and the pointer walk the days; Enter and click list the calls of a day. */
export function UsageChart({
  usage,
  groupBy,
  zone,
  names,
  today,
  opened,
  walk,
}: {
  usage: StackedUsage;
  groupBy: GroupKey;
  zone: string;
  names: KeyNames;
  /** The place of today, whose usage is incomplete; -1: not in the range. */
  today: number;
  /** The place of the day whose calls are listed; -1: none. */
  opened: number;
  walk: DayWalk;
}) {
  const { t } = useLanguage();
  const texts = useUsageTexts(zone);
  const [measure, outerWidth] = useWidth();
  const days = usage.days.length;
  const width = Math.max(outerWidth, days * narrowestDay);
  const shapes = useMemo(() => barShapes(usage.series, usage.byDay, { width, height }), [usage, width]);
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
      days={days}
      shown={shown}
      width={outerWidth === 0 ? 0 : width}
      ticks={shapes.ticks}
      compact={texts.compact}
      describe={describe}
      measure={measure}
    >
      {outerWidth > 0 && (
        <svg
          aria-hidden
          width={width}
          height={height + labelHeight + chartTop}
          className="block touch-pan-y"
          onPointerMove={(event) => walk.setActive(placeOf(event, shapes.dayWidth, walk.begun))}
          onPointerLeave={() => walk.setActive(null)}
          onClick={(event) => walk.open(placeOf(event, shapes.dayWidth, walk.begun))}
        >
          <g transform={`translate(0 ${chartTop})`}>
            {shapes.ticks.map(({ y }) => (
              <line key={y} x2={width} y1={y} y2={y} className="stroke-line" />
            ))}
            {shown !== null && (
              <rect
                x={shown * shapes.dayWidth}
                width={shapes.dayWidth}
                height={height}
                className="fill-accent opacity-15"
              />
            )}
            <Bars usage={usage} paths={shapes.paths} separated={shapes.dayWidth > 8} />
            {today >= 0 && (
              <rect
                x={today * shapes.dayWidth}
                width={Math.max(shapes.dayWidth, 3)}
                height={height}
                className="fill-surface opacity-45"
              />
            )}
            {labelledDays(days, width, labelWidth).map((place) => (
              <text
                key={place}
                x={Math.min(width - 24, Math.max(18, (place + 0.5) * shapes.dayWidth))}
                y={height + 17}
                textAnchor="middle"
                className="fill-muted text-xs"
              >
                {texts.shortDay(usage.days[place] ?? '')}
              </text>
            ))}
          </g>
        </svg>
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

/** A chart of days as a slider: the day is its value, so keyboards and screen readers know how to use it. */
export function DaySlider({
  label,
  walk,
  days,
  shown,
  width,
  ticks,
  compact,
  describe,
  measure,
  children,
}: {
  label: string;
  walk: DayWalk;
  days: number;
  shown: number | null;
  /** Of the chart in pixels, without its axis. If it is wider than its place, it is scrolled beside the axis. */
  width: number;
  ticks: readonly { credits: bigint; y: number }[];
  compact(micro: bigint): string;
  describe(place: number): string;
  measure: RefCallback<HTMLElement>;
  children: ReactNode;
}) {
  const last = Math.max(0, walk.begun - 1);
  const scroller = useRef<HTMLDivElement>(null);
  // A wide chart shows its newest days, or the day that the keyboard has reached.
  useEffect(() => {
    const element = scroller.current;
    if (!element || width <= element.clientWidth) return;
    const at = ((shown ?? days) / days) * width;
    if (at < element.scrollLeft || at > element.scrollLeft + element.clientWidth) {
      element.scrollLeft = at - element.clientWidth / 2;
    }
  }, [shown, days, width]);
  const onKeyDown = (event: KeyboardEvent) => {
    const from = shown ?? last;
    const target = {
      ArrowLeft: from - 1,
      ArrowDown: from - 1,
      ArrowRight: from + 1,
      ArrowUp: from + 1,
      PageDown: from - 7,
      PageUp: from + 7,
      Home: 0,
      End: last,
    }[event.key];
    if (target !== undefined) walk.setActive(Math.max(0, Math.min(last, target)));
    else if (event.key === 'Enter' || event.key === ' ') walk.open(from);
    else return;
    event.preventDefault();
  };
  return (
    <div className="flex min-w-0 self-start" style={{ direction: 'ltr' }}>
      <svg aria-hidden width={axisWidth} className="shrink-0">
        {ticks.map(({ credits, y }) => (
          <text
            key={y}
            x={axisWidth - 8}
            y={y + chartTop}
            dy="0.32em"
            textAnchor="end"
            className="fill-muted text-xs"
          >
            {compact(credits)}
          </text>
        ))}
      </svg>
      <div
        ref={(element) => {
          scroller.current = element;
          return measure(element);
        }}
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-valuemin={1}
        aria-valuemax={Math.max(1, Math.min(days, walk.begun))}
        aria-valuenow={(shown ?? last) + 1}
        aria-valuetext={describe(shown ?? last)}
        onKeyDown={onKeyDown}
        onFocus={() => walk.active === null && walk.setActive(shown ?? last)}
        onBlur={() => walk.setActive(null)}
        className="min-w-0 flex-1 overflow-x-auto overflow-y-hidden rounded-lg"
      >
        {children}
      </div>
    </div>
  );
}

function placeOf(
  event: PointerEvent<SVGSVGElement> | React.MouseEvent<SVGSVGElement>,
  dayWidth: number,
  begun: number,
): number {
  const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
  return dayAt(x, dayWidth, begun);
}
