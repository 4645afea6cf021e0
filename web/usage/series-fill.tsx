import { createContext, type ReactNode, useContext, useId, useMemo } from 'react';
import { hues, lookParts, neutralHues } from './series-colours.ts';
import type { UsageSeries } from './stack-usage.ts';

/** A fill for a series: a colour, or a pattern of `SeriesFills`. */
export interface Fill {
  fill: string;
}

const FillsContext = createContext<((series: Pick<UsageSeries, 'key' | 'isOther'>) => Fill) | null>(null);

/** Defines the fills of the keys in its contents. Colours are CSS, so light and dark need no new drawing. */
export function SeriesFills({
  looks,
  patterns,
  children,
}: {
  looks: ReadonlyMap<string, number>;
  patterns: boolean;
  children: ReactNode;
}) {
  const id = useId();
  const fillOf = useMemo(() => {
    return ({ key, isOther }: Pick<UsageSeries, 'key' | 'isOther'>): Fill => {
      if (isOther) return { fill: colour(neutralHues.other) };
      const look = key === null ? undefined : looks.get(key);
      if (look === undefined) return { fill: colour(neutralHues.none) };
      const { hue, pattern } = lookParts(look, patterns);
      return { fill: pattern === null ? colour(hueAt(hue)) : `url(#${id}-${hue}-${pattern})` };
    };
  }, [looks, patterns, id]);
  const patterned = new Map(
    [...looks.values()].flatMap((look) => {
      const { hue, pattern } = lookParts(look, patterns);
      return pattern === null ? [] : [[`${hue}-${pattern}`, { hue, pattern }] as const];
    }),
  );
  return (
    <FillsContext value={fillOf}>
      <svg aria-hidden width="0" height="0" className="absolute">
        <defs>
          {[...patterned].map(([name, { hue, pattern }]) => (
            <pattern key={name} id={`${id}-${name}`} width="8" height="8" patternUnits="userSpaceOnUse">
              <rect width="8" height="8" style={{ fill: colour(hueAt(hue)) }} />
              <path
                d={patternPaths[pattern % patternPaths.length]}
                className="stroke-surface"
                strokeWidth="1.6"
                fill="none"
              />
            </pattern>
          ))}
        </defs>
      </svg>
      {children}
    </FillsContext>
  );
}

export function useSeriesFill(): (series: Pick<UsageSeries, 'key' | 'isOther'>) => Fill {
  const fillOf = useContext(FillsContext);
  if (!fillOf) throw new Error('useSeriesFill must be used inside SeriesFills');
  return fillOf;
}

/** The sign of a series beside its name. */
export function Swatch({ series }: { series: Pick<UsageSeries, 'key' | 'isOther'> }) {
  const fillOf = useSeriesFill();
  return (
    <svg aria-hidden width="12" height="12" className="shrink-0">
      <rect width="12" height="12" rx="2.5" style={fillOf(series)} />
    </svg>
  );
}

/** Ten patterns in a square of 8 pixels. */
const patternPaths = [
  'M-2 10L10 -2M-2 2L2 -2M6 10L10 6', // rising lines
  'M-2 -2L10 10M6 -2L10 2M-2 6L2 10', // falling lines
  'M0 2H8M0 6H8', // horizontal lines
  'M2 0V8M6 0V8', // vertical lines
  'M4 0V8M0 4H8', // grid
  'M0 0L8 8M8 0L0 8', // crossed lines
  'M1.5 2H3.5M5.5 6H7.5', // dashes
  'M0 6L4 2L8 6', // zigzag
  'M0 0H8M0 4H8M2 0V4M6 4V8', // bricks
  'M0 4H8', // wide horizontal lines
];

function hueAt(index: number): { light: string; dark: string } {
  const hue = hues[index];
  if (!hue) throw new RangeError(`there is no hue ${index}`);
  return hue;
}

function colour({ light, dark }: { light: string; dark: string }): string {
  return `light-dark(${light}, ${dark})`;
}
