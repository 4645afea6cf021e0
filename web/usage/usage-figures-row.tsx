import type { ReactNode } from 'react';
import { toDecimal } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Figure } from '../ui/figure.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import type { KeyNames } from './key-names.ts';
import type { StackedUsage } from './stack-usage.ts';
import type { UsageFigures } from './usage-figures.ts';
import type { UsageTexts } from './usage-texts.ts';
import type { GroupKey } from './view-state.ts';

/** The figures above the chart: used, against the period before, per day, expected. Each opens what it is made of. */
export function UsageFiguresRow({
  figures,
  usage,
  groupBy,
  names,
  texts,
  range,
  before,
  now,
}: {
  figures: UsageFigures;
  usage: StackedUsage;
  groupBy: GroupKey;
  names: KeyNames;
  texts: UsageTexts;
  range: { from: number; to: number };
  before: { from: number; to: number } | null;
  now: number;
}) {
  const { t } = useLanguage();
  const { used, changePerMille, perDay, expected } = figures;
  const passedTo = Math.min(now, range.to);
  const period = (from: number, to: number) =>
    t('usage.period', { from: texts.instant(from), to: texts.instant(to) });
  return (
    <dl className="grid grid-cols-2 gap-x-6 gap-y-4 sm:grid-cols-4">
      <Stat name={t('usage.used')} note={t('usage.calls', { count: usage.events })}>
        <Figure title={t('usage.used')} credits={toDecimal(used)}>
          <Rows>
            {usage.series.map((series) => (
              <Row key={`${series.isOther} ${series.key}`} name={names.seriesName(groupBy, series)}>
                {texts.exact(series.credits)}
              </Row>
            ))}
            <Row name={t('usage.sum')} isTotal>
              {texts.exact(used)}
            </Row>
          </Rows>
          <p className="mt-3 text-sm text-muted">{t('usage.usedText')}</p>
        </Figure>
      </Stat>
      <Stat
        name={t('usage.before')}
        note={
          figures.before === null
            ? '\u00a0'
            : changePerMille === null
              ? t('usage.nothingBefore')
              : t('usage.change', { percent: texts.change(changePerMille) })
        }
      >
        {figures.before === null || before === null ? (
          '–'
        ) : (
          <Figure title={t('usage.before')} credits={toDecimal(figures.before)}>
            <Rows>
              <Row name={period(before.from, before.to)}>{texts.exact(figures.before)}</Row>
              <Row name={period(range.from, passedTo)}>{texts.exact(used)}</Row>
              <Row name={t('usage.difference')} isTotal>
                {texts.exact(used - figures.before)}
              </Row>
            </Rows>
            <p className="mt-3 text-sm text-muted">{t('usage.beforeText')}</p>
          </Figure>
        )}
      </Stat>
      <Stat name={t('usage.perDay')} note={t('usage.onAverage')}>
        {perDay === null ? (
          '–'
        ) : (
          <Figure title={t('usage.perDay')} credits={toDecimal(perDay)}>
            <Rows>
              <Row name={period(range.from, passedTo)}>{texts.exact(used)}</Row>
              <Row name={t('usage.daysPassed')}>{texts.count((passedTo - range.from) / dayMs)}</Row>
              <Row name={t('usage.perDay')} isTotal>
                {texts.exact(perDay)}
              </Row>
            </Rows>
          </Figure>
        )}
      </Stat>
      {range.to - now >= dayMs && (
        <Stat
          name={t('usage.expected')}
          note={
            expected === null ? t('usage.nothingExpected') : t('usage.until', { at: texts.instant(range.to) })
          }
        >
          {expected === null ? (
            '–'
          ) : (
            <Figure title={t('usage.expected')} credits={toDecimal(expected)}>
              <Rows>
                <Row name={period(range.from, passedTo)}>{texts.exact(used)}</Row>
                <Row name={t('usage.stillExpected', { at: texts.instant(range.to) })}>
                  {texts.exact(expected - used)}
                </Row>
                <Row name={t('usage.expected')} isTotal>
                  {texts.exact(expected)}
                </Row>
              </Rows>
              <p className="mt-3 text-sm text-muted">{t('usage.expectedText')}</p>
            </Figure>
          )}
        </Stat>
      )}
    </dl>
  );
}

const dayMs = 86_400_000;

function Stat({ name, note, children }: { name: string; note: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-sm text-muted">{name}</dt>
      <dd className="mt-0.5 text-2xl font-semibold tracking-tight">
        {children}
        <span className="mt-0.5 block text-xs font-normal tracking-normal text-muted">{note}</span>
      </dd>
    </div>
  );
}
