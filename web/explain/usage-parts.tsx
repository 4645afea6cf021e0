import { useQuery } from '@tanstack/react-query';
import { catalogQuery, type UsageFilter, usageByActionQuery } from '../data/team-queries.ts';
import { formatCredits } from '../format/credits.ts';
import { useLanguage } from '../i18n/language.tsx';
import { Loaded } from '../ui/loaded.tsx';
import { Opens } from '../ui/opens.tsx';
import { Row, Rows } from '../ui/rows.tsx';
import { ReceiptParts } from './receipt-parts.tsx';

/** What the usage of a time was for, by action. Each action opens its calls with their receipts. */
export function UsageParts({ teamId, filter }: { teamId: string; filter: UsageFilter }) {
  const { t, locale } = useLanguage();
  const query = useQuery(usageByActionQuery(teamId, filter));
  const { data: catalog } = useQuery(catalogQuery);
  const nameOf = (action: string) => catalog?.prices.find((price) => price.action === action)?.name ?? action;
  return (
    <Loaded query={query} lines={4}>
      {({ data, total }) => (
        <>
          <ul className="divide-y divide-line">
            {data.map(({ action = '', credits, events }) => (
              <li key={action}>
                <Opens
                  name={t('explain.calls', { name: nameOf(action), count: events })}
                  value={formatCredits(credits, locale)}
                >
                  <ReceiptParts teamId={teamId} filter={{ ...filter, action }} />
                </Opens>
              </li>
            ))}
          </ul>
          <div className="border-t border-outline">
            <Rows>
              <Row name={t('explain.sum')} isTotal>
                {formatCredits(total.credits, locale)}
              </Row>
            </Rows>
          </div>
        </>
      )}
    </Loaded>
  );
}
