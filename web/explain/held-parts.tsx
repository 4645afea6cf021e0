import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { catalogQuery, holdsQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { formatInstant } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** The open holds, oldest first. */
export function HeldParts({ teamId }: { teamId: string }) {
  const { t, locale } = useLanguage();
  const query = useInfiniteQuery(holdsQuery(teamId));
  const { data: catalog } = useQuery(catalogQuery);
  const nameOf = (action: string) => catalog?.prices.find((price) => price.action === action)?.name ?? action;
  return (
    <>
      <p className="mb-2 text-sm text-muted">{t('explain.held')}</p>
      <LoadedList query={query}>
        {(holds) => (
          <Rows>
            {holds.map(({ id, action, runId, credits, expiresAt }) => (
              <Row
                key={id}
                name={t('explain.hold', {
                  action: [nameOf(action), runId].filter((one) => one !== null).join(' · '),
                  time: formatInstant(expiresAt, locale),
                })}
              >
                {formatCredits(credits, locale)}
              </Row>
            ))}
          </Rows>
        )}
      </LoadedList>
    </>
  );
}
