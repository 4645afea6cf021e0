import { useInfiniteQuery } from '@tanstack/react-query';
import { activityQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { formatInstant } from '../format/dates.ts';
import { readersTimezone, useLanguage } from '../i18n/language.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { Row, Rows } from '../ui/rows.tsx';

const changes = ['clawed_back', 'clawback_reversed', 'debt_settled', 'debt_settlement_reversed'] as const;
type DebtChange = (typeof changes)[number];

/** Why the team owes credits: what refunds took back, and what has been settled since. */
export function DebtParts({ teamId }: { teamId: string }) {
  const { t, locale } = useLanguage();
  const query = useInfiniteQuery(activityQuery(teamId, readersTimezone()));
  return (
    <>
      <p className="mb-2 text-sm text-muted">{t('explain.debt')}</p>
      <LoadedList query={query}>
        {(entries) => (
          <Rows>
            {entries.flatMap((entry) => {
              if (entry.kind !== 'credits') return [];
              const change = changes.find((one): one is DebtChange => one === entry.change);
              if (!change) return [];
              return (
                <Row
                  key={`${entry.at} ${entry.grantId} ${change}`}
                  name={`${formatInstant(entry.at, locale)} · ${t(`change.${change}`)}`}
                >
                  {formatCredits(entry.credits, locale)}
                </Row>
              );
            })}
          </Rows>
        )}
      </LoadedList>
    </>
  );
}
