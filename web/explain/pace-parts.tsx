import { useQuery } from '@tanstack/react-query';
import type { Schema } from '../data/schema.ts';
import { paceQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { formatDate } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** The usage of the days that the pace is the average of. */
export function PaceParts({ teamId, pace, asOf }: { teamId: string; pace: Schema<'Pace'>; asOf: string }) {
  const { t, locale } = useLanguage();
  const query = useQuery(paceQuery(teamId, pace.days, asOf));
  return (
    <>
      <p className="mb-2 text-sm text-muted">{t('explain.pace', { count: pace.days })}</p>
      <Loaded query={query} lines={5}>
        {({ data, total }) => (
          <Rows>
            {data.map(({ day = '', credits }) => (
              <Row key={day} name={formatDate(day, locale)}>
                {formatCredits(credits, locale)}
              </Row>
            ))}
            <Row name={t('explain.sum')} isTotal>
              {formatCredits(total.credits, locale)}
            </Row>
          </Rows>
        )}
      </Loaded>
    </>
  );
}
