import { useInfiniteQuery } from '@tanstack/react-query';
import { holdsQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { formatInstant } from '../format/dates.ts';
import { useLanguage } from '../i18n/language.tsx';
import { LoadedList } from '../ui/loaded-list.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** The open holds, oldest first. */
export function HeldParts({ teamId }: { teamId: string }) {
  const { t, locale } = useLanguage();
  const query = useInfiniteQuery(holdsQuery(teamId));
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
                  action: runId ? `${action} · ${runId}` : action,
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
