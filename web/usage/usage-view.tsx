import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Button } from 'react-aria-components';
import { useLanguage } from '../i18n/language.tsx';
import { buttonClass } from '../ui/button.tsx';
import { Card } from '../ui/card.tsx';
import { FaultBoundary } from '../ui/fault-boundary.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { CardSkeleton } from '../ui/skeleton.tsx';
import { BurnDownCard } from './burn-down-card.tsx';
import type { DayWalk } from './day-slider.tsx';
import { DayTable } from './day-table.tsx';
import { columnName, type KeyNames, useKeyNames } from './key-names.ts';
import { daysBetween, localDayAt } from './local-days.ts';
import { begunDays, type DayRange, periodBefore } from './range.ts';
import { ReceiptDrawer } from './receipt-drawer.tsx';
import { SeriesFills } from './series-fill.tsx';
import { onlyKey } from './stack-usage.ts';
import { manyDays, UsageChart } from './usage-chart.tsx';
import { usageFigures } from './usage-figures.ts';
import { UsageFiguresRow } from './usage-figures-row.tsx';
import { UsageLegend } from './usage-legend.tsx';
import {
  balanceHistoryQuery,
  csvAddress,
  periodBeforeQuery,
  type Report,
  reportQuery,
} from './usage-queries.ts';
import { type UsageTexts, useUsageTexts } from './usage-texts.ts';
import { UsageToolbar } from './usage-toolbar.tsx';
import { useLooks } from './use-looks.ts';
import { type ViewState, withFilter, withoutFilter } from './view-state.ts';

export interface UsageViewProps {
  teamId: string;
  state: ViewState;
  change(part: Partial<ViewState>, options?: { replace: boolean }): void;
  /** Milliseconds since 1970. */
  now: number;
  range: DayRange;
  hasCycle: boolean;
}

export function UsageView(props: UsageViewProps) {
  const { teamId, state, change, range, hasCycle } = props;
  const { t } = useLanguage();
  const texts = useUsageTexts(state.zone);
  const names = useKeyNames(teamId);
  const { zone, groupBy, filters } = state;
  const scope = useMemo(() => ({ range, zone, groupBy, filters }), [range, zone, groupBy, filters]);
  const query = useQuery(reportQuery(teamId, scope));
  useQuery(balanceHistoryQuery(teamId, range, zone)); // loaded beside the report, shown after it
  return (
    <>
      <UsageToolbar teamId={teamId} state={state} range={range} hasCycle={hasCycle} change={change} />
      <FilterChips state={state} change={change} names={names} />
      <Card
        title={t('usage.title')}
        help={{ guide: 'usage-monitoring' }}
        description={t('usage.zoneText', {
          from: texts.longDay(range.first),
          to: texts.longDay(range.last),
          zone: texts.zone,
        })}
        actions={
          <>
            <Button
              aria-pressed={state.patterns}
              className={`${buttonClass('secondary')} aria-pressed:border-accent aria-pressed:bg-accent-soft`}
              onPress={() => change({ patterns: !state.patterns }, { replace: true })}
            >
              {t('usage.patterns')}
            </Button>
            <a href={csvAddress(teamId, scope)} download className={buttonClass('secondary')}>
              {t('usage.csv')}
            </a>
          </>
        }
      >
        <div
          className={`transition-opacity ${query.isPlaceholderData ? 'opacity-60' : ''}`}
          aria-busy={query.isFetching}
        >
          {names.isPending ? (
            <CardSkeleton lines={skeletonLines} />
          ) : (
            <Loaded query={query} lines={skeletonLines}>
              {(report) => <ReportView {...props} report={report} texts={texts} names={names} />}
            </Loaded>
          )}
        </div>
      </Card>
      {/* The report's height is unknown until it is there, so what is below it comes after it: nothing moves. */}
      {!query.isPending && !names.isPending && (
        <FaultBoundary>
          <BurnDownCard teamId={teamId} range={range} zone={zone} />
        </FaultBoundary>
      )}
      <ReceiptDrawer
        teamId={teamId}
        place={state.receipt}
        zone={zone}
        texts={texts}
        names={names}
        close={() => change({ receipt: null }, { replace: true })}
      />
    </>
  );
}

const skeletonLines = 14;

/** Figures, chart, legend and table of one report. */
function ReportView({
  teamId,
  state,
  change,
  now,
  report,
  texts,
  names,
}: UsageViewProps & { report: Report; texts: UsageTexts; names: KeyNames }) {
  const { t } = useLanguage();
  const [active, setActive] = useState<number | null>(null);
  // The report may be an older one while the next is loaded. The filter on its column is not part of it.
  const { range, zone, groupBy } = report;
  const { filters } = state;
  const chosen = filters.get(groupBy);
  const all = report.usage;
  const usage = useMemo(() => (chosen === undefined ? all : onlyKey(all, chosen)), [all, chosen]);
  const looks = useLooks(groupBy, all, names);
  const before = useMemo(() => periodBefore(range, now, zone), [range, now, zone]);
  const sumBefore = useQuery(periodBeforeQuery(teamId, before, { zone, filters })).data;
  const figures = usageFigures(usage.credits, sumBefore ?? null, range, now);
  const begun = begunDays(range, now, zone);
  const begunCount = begun === null ? 0 : daysBetween(begun.first, begun.last) + 1;
  const today = range.to > now ? usage.days.indexOf(localDayAt(now, zone)) : -1;
  const opened = state.day === null ? -1 : usage.days.indexOf(state.day);
  const hasUsage = usage.events > 0;
  const isWide = !hasUsage || usage.days.length > manyDays;
  const walk: DayWalk = {
    active: active !== null && active < begunCount ? active : null,
    setActive,
    open: (place) => {
      const day = usage.days[place];
      if (day !== undefined) change({ day: place === opened ? null : day }, { replace: true });
    },
    begun: begunCount,
  };
  return (
    <SeriesFills looks={looks} patterns={state.patterns}>
      <UsageFiguresRow
        figures={figures}
        usage={usage}
        groupBy={groupBy}
        names={names}
        texts={texts}
        range={range}
        before={before}
        now={now}
      />
      {!hasUsage && (
        <p className="mt-6 rounded-lg bg-sunken p-4 text-sm">
          {filters.size > 0 ? t('usage.nothingWithFilter') : t('usage.nothing')}
        </p>
      )}
      {all.events > 0 && (
        <>
          <div className={`mt-6 grid gap-x-8 gap-y-6 ${isWide ? '' : 'lg:grid-cols-[minmax(0,1fr)_19rem]'}`}>
            {hasUsage && (
              <UsageChart
                usage={usage}
                groupBy={groupBy}
                texts={texts}
                names={names}
                today={today}
                opened={opened}
                walk={walk}
              />
            )}
            <UsageLegend
              usage={all}
              groupBy={groupBy}
              names={names}
              texts={texts}
              isWide={isWide}
              chosen={chosen}
              place={walk.active ?? (opened >= 0 ? opened : null)}
              choose={(key) =>
                change({
                  filters:
                    chosen === key
                      ? withoutFilter(state.filters, groupBy)
                      : withFilter(state.filters, groupBy, key),
                })
              }
            />
          </div>
          {hasUsage && (
            <div className="mt-8">
              <DayTable
                teamId={teamId}
                usage={usage}
                range={range}
                zone={zone}
                groupBy={groupBy}
                filters={filters}
                names={names}
                texts={texts}
                begun={begunCount}
                today={today}
                day={state.day}
                openDay={(day) => change({ day }, { replace: true })}
                openReceipt={(receipt) => change({ receipt })}
              />
            </div>
          )}
        </>
      )}
    </SeriesFills>
  );
}

/** The filters of the view, each with a button that removes it. */
function FilterChips({
  state,
  change,
  names,
}: {
  state: ViewState;
  change(part: Partial<ViewState>): void;
  names: KeyNames;
}) {
  const { t } = useLanguage();
  if (state.filters.size === 0) return null;
  return (
    <ul aria-label={t('usage.filters')} className="flex flex-wrap gap-2">
      {[...state.filters].map(([column, value]) => {
        const text = t('usage.filter', { column: columnName(column, t), value: names.nameOf(column, value) });
        return (
          <li key={column} className="flex items-center gap-1 rounded-full bg-accent-soft ps-3 pe-1 text-sm">
            <span className="max-w-72 truncate">{text}</span>
            <Button
              aria-label={t('usage.removeFilter', { filter: text })}
              onPress={() => change({ filters: withoutFilter(state.filters, column) })}
              className="rounded-full px-2 py-1 text-muted hover:text-ink"
            >
              <span aria-hidden>×</span>
            </Button>
          </li>
        );
      })}
    </ul>
  );
}
