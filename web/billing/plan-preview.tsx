import { useQuery } from '@tanstack/react-query';
import type { Schema } from '../data/schema.ts';
import { catalogQuery } from '../data/team-queries.ts';
import { formatCredits, isZero } from '../format/credits.ts';
import { formatDay } from '../format/dates.ts';
import { formatMoney } from '../format/money.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** A change of plan before consent: when, money now and its lines, credits now and at the next cycle, what ends. */
export function PlanPreview({ preview }: { preview: Schema<'PlanChangePreview'> }) {
  const { t, locale } = useLanguage();
  const { data: catalog } = useQuery(catalogQuery);
  const { effect, effectiveAt, payment, creditsGranted, creditsTaken, unused, nextCycle } = preview;
  if (effect === 'unchanged') return <p>{t('preview.unchanged')}</p>;
  if (effect === 'undo') return <p>{t('preview.undo')}</p>;
  const money = (amount: number) => formatMoney(amount, payment.currency, locale);
  const nameOf = (key: string) => catalog?.plans.find((plan) => plan.key === key)?.name ?? key;
  return (
    <>
      <Rows>
        <Row name={t('preview.when')}>
          {effect === 'now' || effectiveAt === null
            ? t('preview.now')
            : t('balance.onDate', { date: formatDay(effectiveAt, locale) })}
        </Row>
        {payment.lines.map(({ plan, amount, start, end }) => (
          <Row
            key={`${plan} ${start} ${amount}`}
            name={t('preview.line', {
              plan: nameOf(plan),
              start: formatDay(start, locale),
              end: formatDay(end, locale),
            })}
          >
            {money(amount)}
          </Row>
        ))}
        <Row name={t('preview.payNow')} isTotal>
          {payment.isEstimate ? t('preview.about', { amount: money(payment.amount) }) : money(payment.amount)}
        </Row>
        <Row name={t('preview.creditsNow')}>
          {formatCredits(creditsGranted, locale, { digits: 2, signed: true })}
        </Row>
        {!isZero(creditsTaken) && (
          <Row name={t('preview.creditsTaken')}>
            {formatCredits(`-${creditsTaken}`, locale, { digits: 2 })}
          </Row>
        )}
        {nextCycle && (
          <Row name={t('preview.nextCycle', { date: formatDay(nextCycle.at, locale) })}>
            {t('preview.each', {
              amount: money(nextCycle.amount),
              credits: formatCredits(nextCycle.credits, locale, { signed: true }),
            })}
          </Row>
        )}
        {unused && (
          <Row name={t('preview.unused')}>
            {unused.until === effectiveAt
              ? t('preview.unusedEnds', { credits: formatCredits(unused.credits, locale, { digits: 2 }) })
              : t('preview.unusedUntil', {
                  credits: formatCredits(unused.credits, locale, { digits: 2 }),
                  date: formatDay(unused.until, locale),
                })}
          </Row>
        )}
      </Rows>
      {payment.isEstimate && <p className="mt-3 text-sm text-muted">{t('preview.estimate')}</p>}
      <p className="mt-3 text-sm text-muted">{t('cancel.lifetime')}</p>
    </>
  );
}
