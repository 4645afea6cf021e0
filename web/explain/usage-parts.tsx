import { useQuery } from '@tanstack/react-query';
import { catalogQuery, usageByActionQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Row, Rows } from '../ui/rows.tsx';

/** What the usage of a time was for, by action. */
export function UsageParts({
  teamId,
  range,
}: {
  teamId: string;
  range: { from: string; to?: string; member?: string; key?: string };
}) {
  const { t, locale } = useLanguage();
  const query = useQuery(usageByActionQuery(teamId, range));
  const { data: catalog } = useQuery(catalogQuery);
  const nameOf = (action: string) => catalog?.prices.find((price) => price.action === action)?.name ?? action;
  return (
    <Loaded query={query} lines={4}>
      {({ data, total }) => (
        <Rows>
          {data.map(({ action = '', credits, events }) => (
            <Row key={action} name={t('explain.calls', { name: nameOf(action), count: events })}>
              {formatCredits(credits, locale)}
            </Row>
          ))}
          <Row name={t('explain.sum')} isTotal>
            {formatCredits(total.credits, locale)}
          </Row>
        </Rows>
      )}
    </Loaded>
  );
}
