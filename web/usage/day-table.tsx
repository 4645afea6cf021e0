import { useEffect, useRef, useState } from 'react';
import { useLanguage } from '../i18n/language.tsx';
import { Button } from '../ui/button.tsx';
import { DayCalls } from './day-calls.tsx';
import type { KeyNames } from './key-names.ts';
import type { LocalDay } from './local-days.ts';
import type { DayRange } from './range.ts';
import { Swatch } from './series-fill.tsx';
import type { StackedUsage } from './stack-usage.ts';
import type { UsageTexts } from './usage-texts.ts';
import type { Filters, GroupKey, ReceiptPlace } from './view-state.ts';

const daysAtOnce = 31;

/** The figures of the chart as a table, newest day first. A day opens the list of its calls. */
export function DayTable({
  teamId,
  usage,
  range,
  zone,
  groupBy,
  filters,
  names,
  texts,
  begun,
  today,
  day,
  openDay,
  openReceipt,
}: {
  teamId: string;
  usage: StackedUsage;
  range: DayRange;
  zone: string;
  groupBy: GroupKey;
  filters: Filters;
  names: KeyNames;
  texts: UsageTexts;
  begun: number;
  today: number;
  day: LocalDay | null;
  openDay(day: LocalDay | null): void;
  openReceipt(place: ReceiptPlace): void;
}) {
  const { t } = useLanguage();
  const openedPlace = day === null ? -1 : usage.days.indexOf(day);
  const [shown, setShown] = useState(daysAtOnce);
  const rows = Math.max(shown, openedPlace < 0 ? 0 : begun - openedPlace);
  const first = Math.max(0, begun - rows);
  const places = Array.from({ length: begun - first }, (_, index) => begun - 1 - index);
  const columns = usage.series.length + 3;
  return (
    <>
      <div className="@container overflow-x-auto">
        <table className="w-full border-separate border-spacing-0 text-sm">
          <caption className="sr-only">{t('usage.byDay')}</caption>
          <thead>
            <tr className="text-xs text-muted">
              <th scope="col" className={`${firstColumn} bg-surface pb-2 text-start font-medium`}>
                {t('usage.day')}
              </th>
              <th scope="col" className="px-3 pb-2 text-end font-medium">
                {t('usage.credits')}
              </th>
              <th scope="col" className="px-3 pb-2 text-end font-medium">
                {t('usage.callsColumn')}
              </th>
              {usage.series.map((series) => (
                <th
                  key={`${series.isOther} ${series.key}`}
                  scope="col"
                  className="max-w-40 px-3 pb-2 text-end font-medium"
                >
                  <span className="inline-flex max-w-full items-center gap-1.5">
                    <Swatch series={series} />
                    <span className="truncate">{names.seriesName(groupBy, series)}</span>
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {places.map((place) => (
              <DayRows
                key={usage.days[place]}
                usage={usage}
                place={place}
                texts={texts}
                isToday={place === today}
                isOpen={place === openedPlace}
                toggle={() => openDay(place === openedPlace ? null : (usage.days[place] ?? null))}
                columns={columns}
              >
                <DayCalls
                  teamId={teamId}
                  scope={{ day: usage.days[place] ?? '', range, zone, filters }}
                  texts={texts}
                  names={names}
                  openReceipt={openReceipt}
                />
              </DayRows>
            ))}
          </tbody>
        </table>
      </div>
      {first > 0 && (
        <div className="mt-3">
          <Button look="quiet" onPress={() => setShown(begun)}>
            {t('usage.allDays', { count: begun })}
          </Button>
        </div>
      )}
    </>
  );
}

function DayRows({
  usage,
  place,
  texts,
  isToday,
  isOpen,
  toggle,
  columns,
  children,
}: {
  usage: StackedUsage;
  place: number;
  texts: UsageTexts;
  isToday: boolean;
  isOpen: boolean;
  toggle(): void;
  columns: number;
  children: React.ReactNode;
}) {
  const { t } = useLanguage();
  const row = useRef<HTMLTableRowElement>(null);
  const wasOpen = useRef(isOpen);
  useEffect(() => {
    if (isOpen && !wasOpen.current) row.current?.scrollIntoView({ block: 'nearest' });
    wasOpen.current = isOpen;
  }, [isOpen]);
  const events = usage.eventsByDay[place] ?? 0;
  const label = texts.tableDay(usage.days[place] ?? '');
  const cell = 'border-t border-line px-3 py-1.5 text-end whitespace-nowrap';
  return (
    <>
      <tr ref={row} className={isOpen ? 'bg-sunken' : ''}>
        <th
          scope="row"
          className={`${firstColumn} ${isOpen ? 'bg-sunken' : 'bg-surface'} border-t border-line py-1.5 text-start font-normal whitespace-nowrap`}
        >
          <button
            type="button"
            aria-expanded={isOpen}
            onClick={toggle}
            disabled={events === 0 && !isOpen}
            className="inline-flex items-center gap-1.5 rounded text-start enabled:hover:underline disabled:cursor-default disabled:text-muted"
          >
            <span
              aria-hidden
              className={`inline-block w-3 text-muted ${isOpen ? '' : 'rtl:-scale-x-100'} ${events === 0 ? 'invisible' : ''}`}
            >
              {isOpen ? '▾' : '▸'}
            </span>
            {label}
          </button>
          {isToday && <span className="ms-2 text-xs text-muted">{t('usage.soFar')}</span>}
        </th>
        <td className={`${cell} font-medium`}>{amount(usage.byDay[place], texts)}</td>
        <td className={cell}>{events === 0 ? '–' : texts.count(events)}</td>
        {usage.series.map((series) => (
          <td key={`${series.isOther} ${series.key}`} className={`${cell} text-muted`}>
            {amount(series.byDay[place], texts)}
          </td>
        ))}
      </tr>
      {isOpen && (
        <tr>
          <td colSpan={columns} className="bg-sunken p-0">
            <div className="sticky start-0 w-[100cqi] px-3 pb-3">{children}</div>
          </td>
        </tr>
      )}
    </>
  );
}

/** It stays in view while the other columns are scrolled. */
const firstColumn = 'sticky start-0 pe-3';

function amount(micro: bigint | undefined, texts: UsageTexts): string {
  return micro === undefined || micro === 0n ? '–' : texts.credits(micro);
}
