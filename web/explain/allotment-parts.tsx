import type { Schema } from '../data/schema.ts';
import { formatCredits } from '../format/credits.ts';
import { formatDay } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** Where the next credits of a plan come from. */
export function AllotmentParts({
  plan,
  next,
}: {
  /** Undefined: the catalog no longer sells it. */
  plan: Schema<'Plan'> | undefined;
  next: Schema<'CreditsAt'>;
}) {
  const { t, locale } = useLanguage();
  return (
    <Rows>
      {plan && (
        <Row
          name={t(plan.interval === 'year' ? 'explain.allotmentYear' : 'explain.allotmentMonth', {
            plan: plan.name,
          })}
        >
          {formatCredits(plan.allotment, locale)}
        </Row>
      )}
      {plan?.rhythm === 'monthly' && <Row name={t('explain.rhythm')}>{t('explain.monthly')}</Row>}
      <Row name={t('explain.on', { date: formatDay(next.at, locale) })} isTotal>
        {formatCredits(next.credits, locale, { signed: true })}
      </Row>
    </Rows>
  );
}
