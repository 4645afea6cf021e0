import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { toDecimal } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Card } from '../ui/card.tsx';
import { Figure } from '../ui/figure.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { BalanceDayDialog } from './balance-day-dialog.tsx';
import { type BurnDownDay, burnDownShapes, type MarkedFlow } from './burn-down.ts';
import { DaySlider, type DayWalk, useChartWidth } from './day-slider.tsx';
import { type LocalDay, listDays } from './local-days.ts';
import type { DayRange } from './range.ts';
import { type BalanceHistory, balanceHistoryQuery } from './usage-queries.ts';
import { type UsageTexts, useUsageTexts } from './usage-texts.ts';

const heightPx = 180;
/** A mark at the edge is drawn inside the chart. */
const markWidthPx = 12;

/** The balance over time: what came in, what was used, what expired. Filters do not apply: the credits are the team's. */
export function BurnDownCard({ teamId, range, zone }: { teamId: string; range: DayRange; zone: string }) {
  const { t } = useLanguage();
  const query = useQuery(balanceHistoryQuery(teamId, range, zone));
  return (
    <Card title={t('burnDown.title')} description={t('burnDown.text')}>
      <div className={query.isPlaceholderData ? 'opacity-60' : ''}>
        <Loaded query={query} lines={9}>
          {(history) => <BurnDown key={history.range.first} teamId={teamId} history={history} />}
        </Loaded>
      </div>
    </Card>
  );
}

const flows = ['cameIn', 'used', 'expired', 'takenBack'] as const;
type Flow = (typeof flows)[number];

function BurnDown({
  teamId,
  history: { range, zone, opening, days },
}: {
  teamId: string;
  history: BalanceHistory;
}) {
  const { t } = useLanguage();
  const texts = useUsageTexts(zone);
  const [active, setActive] = useState<number | null>(null);
  const [opened, setOpened] = useState<LocalDay | null>(null);
  const places = listDays(range.first, range.last);
  const chart = useChartWidth(places.length);
  const shapes = useMemo(
    () => burnDownShapes(opening, days, places.length, { width: chart.width, height: heightPx }),
    [opening, days, places.length, chart.width],
  );
  const walk: DayWalk = {
    active,
    setActive,
    open: (place) => setOpened(days[place]?.day ?? null),
    begun: days.length,
  };
  const shownDay = active === null ? undefined : days[active];
  const sums = shownDay ?? sumOf(days);
  const describe = (place: number) => {
    const day = days[place];
    if (!day) return '';
    return [
      `${texts.longDay(day.day)}: ${t('burnDown.balance')} ${texts.credits(day.balance)}`,
      ...flows
        .filter((flow) => day[flow] !== 0n)
        .map((flow) => `${t(`burnDown.${flow}`)} ${texts.credits(day[flow])}`),
    ].join('; ');
  };
  const openedDay = days.find(({ day }) => day === opened);
  return (
    <>
      <dl className="mb-2 grid grid-cols-2 gap-x-6 gap-y-2 text-sm sm:grid-cols-5">
        <div>
          <dt className="text-muted">{t('burnDown.balance')}</dt>
          <dd className="text-lg font-semibold">
            {shownDay ? (
              texts.credits(sums.balance)
            ) : (
              <Figure title={t('burnDown.balance')} credits={toDecimal(sums.balance)}>
                <BalanceOf opening={opening} sums={sums} texts={texts} />
              </Figure>
            )}
          </dd>
        </div>
        {flows.map((flow) => (
          <div key={flow}>
            <dt className="flex items-center gap-1.5 text-muted">
              <FlowSign flow={flow} />
              {t(`burnDown.${flow}`)}
            </dt>
            <dd className="text-lg">
              {sums[flow] === 0n ? (
                '–'
              ) : shownDay ? (
                texts.signed(signOf(flow) * sums[flow])
              ) : (
                <Figure title={t(`burnDown.${flow}`)} credits={toDecimal(signOf(flow) * sums[flow])} signed>
                  <DaysOf flow={flow} days={days} sum={sums[flow]} texts={texts} />
                </Figure>
              )}
            </dd>
          </div>
        ))}
      </dl>
      <p className="mb-2 text-xs text-muted">
        {shownDay ? texts.longDay(shownDay.day) : t('usage.wholeRange')}
      </p>
      <DaySlider
        label={t('burnDown.chart')}
        walk={walk}
        days={places}
        shown={active}
        chart={chart}
        height={heightPx}
        ticks={shapes.ticks}
        texts={texts}
        describe={describe}
      >
        <path d={shapes.line} fill="none" className="stroke-accent" strokeWidth="2" strokeLinejoin="round" />
        {shapes.marks.map(({ place, kind, x, y }) => (
          <g key={`${place} ${kind}`} transform={`translate(${Math.max(x, markWidthPx / 2)} ${y})`}>
            <FlowMark flow={kind} />
          </g>
        ))}
      </DaySlider>
      <BalanceDayDialog
        teamId={teamId}
        range={range}
        zone={zone}
        day={openedDay ?? null}
        texts={texts}
        close={() => setOpened(null)}
      />
    </>
  );
}

/** The balance before the range and what changed it. */
function BalanceOf({
  opening,
  sums,
  texts,
}: {
  opening: bigint;
  sums: Omit<BurnDownDay, 'day'>;
  texts: UsageTexts;
}) {
  const { t } = useLanguage();
  // Credits of holds that ended after their grant had expired.
  const ofHolds = sums.balance - opening - flows.reduce((sum, flow) => sum + signOf(flow) * sums[flow], 0n);
  return (
    <Rows>
      <Row name={t('burnDown.beforeRange')}>{texts.exact(opening)}</Row>
      {flows.map((flow) => (
        <Row key={flow} name={t(`burnDown.${flow}`)}>
          {texts.signed(signOf(flow) * sums[flow])}
        </Row>
      ))}
      {ofHolds !== 0n && <Row name={t('burnDown.ofHolds')}>{texts.signed(ofHolds)}</Row>}
      <Row name={t('burnDown.balance')} isTotal>
        {texts.exact(sums.balance)}
      </Row>
    </Rows>
  );
}

/** The days that make up the sum of the range. */
function DaysOf({
  flow,
  days,
  sum,
  texts,
}: {
  flow: Flow;
  days: readonly BurnDownDay[];
  sum: bigint;
  texts: UsageTexts;
}) {
  const { t } = useLanguage();
  return (
    <Rows>
      {days
        .filter((day) => day[flow] !== 0n)
        .map((day) => (
          <Row key={day.day} name={texts.longDay(day.day)}>
            {texts.signed(signOf(flow) * day[flow])}
          </Row>
        ))}
      <Row name={t('usage.sum')} isTotal>
        {texts.signed(signOf(flow) * sum)}
      </Row>
    </Rows>
  );
}

/** Only what comes in adds to the balance. */
function signOf(flow: Flow): bigint {
  return flow === 'cameIn' ? 1n : -1n;
}

function sumOf(days: readonly BurnDownDay[]): Omit<BurnDownDay, 'day'> {
  const sum = (flow: Flow) => days.reduce((total, day) => total + day[flow], 0n);
  return {
    balance: days.at(-1)?.balance ?? 0n,
    cameIn: sum('cameIn'),
    used: sum('used'),
    expired: sum('expired'),
    takenBack: sum('takenBack'),
  };
}

function FlowSign({ flow }: { flow: Flow }) {
  return (
    <svg aria-hidden width="14" height="14" viewBox="-7 -7 14 14">
      {flow === 'used' ? (
        <line x1="-6" y1="-4" x2="6" y2="4" className="stroke-accent" strokeWidth="2" />
      ) : (
        <g transform={flow === 'cameIn' ? 'translate(0 6)' : ''}>
          <FlowMark flow={flow} />
        </g>
      )}
    </svg>
  );
}

/** Each kind has its shape, not only its colour. */
function FlowMark({ flow }: { flow: MarkedFlow }) {
  switch (flow) {
    case 'cameIn':
      return <path d="M-5 -3L0 -11L5 -3z" className="fill-good stroke-surface" />;
    case 'expired':
      return <path d="M-4 -4L4 4M4 -4L-4 4" className="stroke-warning" strokeWidth="2.5" />;
    case 'takenBack':
      return <rect x="-4" y="-4" width="8" height="8" className="fill-danger stroke-surface" />;
  }
}
