import {
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  type RefCallback,
  useEffect,
  useRef,
} from 'react';
import { dayAt, labelledDays } from './bar-shapes.ts';
import type { LocalDay } from './local-days.ts';
import type { UsageTexts } from './usage-texts.ts';
import { useWidth } from './use-width.ts';

export interface DayWalk {
  /** The day under the pointer or the focus, as a place in the range; null: none. */
  active: number | null;
  setActive(place: number | null): void;
  /** Opens what is listed of a day. */
  open(place: number): void;
  /** The number of days that have begun. */
  begun: number;
}

const axisWidthPx = 52;
/** Above the chart: room for the highest label of the axis and for marks. */
const topPx = 16;
const labelHeightPx = 22;
const labelWidthPx = 76;
/** A year on a phone is scrolled. */
const narrowestDayPx = 2;

/** The width of a chart of days in pixels, 0 before it is measured. If it is wider than its place, it is scrolled. */
export function useChartWidth(days: number): { measure: RefCallback<HTMLElement>; width: number } {
  const [measure, placeWidth] = useWidth();
  return { measure, width: placeWidth === 0 ? 0 : Math.max(placeWidth, days * narrowestDayPx) };
}

/**
 * A chart of days as a slider: the day is its value, so keyboards and screen readers know how to use it. The pointer and the
 * arrow keys change the day; Enter and a click open it. It draws the axes and marks the day; its contents draw the values.
 */
export function DaySlider({
  label,
  walk,
  days,
  shown,
  chart: { measure, width },
  height,
  ticks,
  texts,
  describe,
  children,
}: {
  label: string;
  walk: DayWalk;
  days: readonly LocalDay[];
  /** The place of the day that is marked; null: none. */
  shown: number | null;
  chart: ReturnType<typeof useChartWidth>;
  /** Of the chart in pixels, without its labels. */
  height: number;
  ticks: readonly { credits: bigint; y: number }[];
  texts: UsageTexts;
  describe(place: number): string;
  children: ReactNode;
}) {
  const last = Math.max(0, walk.begun - 1);
  const dayWidth = width / Math.max(1, days.length);
  const scroller = useRef<HTMLDivElement>(null);
  // A wide chart shows its newest days, or the day that the keyboard has reached.
  useEffect(() => {
    const element = scroller.current;
    if (!element || width <= element.clientWidth) return;
    const at = (shown ?? days.length) * dayWidth;
    if (at < element.scrollLeft || at > element.scrollLeft + element.clientWidth) {
      element.scrollLeft = at - element.clientWidth / 2;
    }
  }, [shown, days.length, dayWidth, width]);
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
  const placeOf = ({ clientX, currentTarget }: MouseEvent) =>
    dayAt(clientX - currentTarget.getBoundingClientRect().left, dayWidth, walk.begun);
  return (
    <div className="flex min-w-0 self-start" style={{ direction: 'ltr' }}>
      <svg aria-hidden width={axisWidthPx} className="shrink-0">
        {ticks.map(({ credits, y }) => (
          <text
            key={y}
            x={axisWidthPx - 8}
            y={y + topPx}
            dy="0.32em"
            textAnchor="end"
            className="fill-muted text-xs"
          >
            {texts.compact(credits)}
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
        aria-valuemax={Math.max(1, Math.min(days.length, walk.begun))}
        aria-valuenow={(shown ?? last) + 1}
        aria-valuetext={describe(shown ?? last)}
        onKeyDown={onKeyDown}
        onFocus={() => walk.active === null && walk.setActive(shown ?? last)}
        onBlur={() => walk.setActive(null)}
        className="min-w-0 flex-1 overflow-x-auto overflow-y-hidden rounded-lg"
      >
        {width > 0 && (
          <svg
            aria-hidden
            width={width}
            height={height + labelHeightPx + topPx}
            className="block touch-pan-y"
            onPointerMove={(event) => walk.setActive(placeOf(event))}
            onPointerLeave={() => walk.setActive(null)}
            onClick={(event) => walk.open(placeOf(event))}
          >
            <g transform={`translate(0 ${topPx})`}>
              {ticks.map(({ y }) => (
                <line key={y} x2={width} y1={y} y2={y} className="stroke-line" />
              ))}
              {shown !== null && (
                <rect
                  x={shown * dayWidth}
                  width={dayWidth}
                  height={height}
                  className="fill-accent opacity-15"
                />
              )}
              {children}
              {labelledDays(days.length, width, labelWidthPx).map((place) => (
                <text
                  key={place}
                  x={Math.min(width - 24, Math.max(24, (place + 0.5) * dayWidth))}
                  y={height + 17}
                  textAnchor="middle"
                  className="fill-muted text-xs"
                >
                  {texts.shortDay(days[place] ?? '')}
                </text>
              ))}
            </g>
          </svg>
        )}
      </div>
    </div>
  );
}
